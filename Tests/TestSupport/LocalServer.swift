public import Foundation
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A web server on this machine that answers as a test wants, with all that goes wrong on the way.
public final class LocalServer: Sendable {
  /// What was asked for.
  public struct Request: Sendable {
    /// The first line, such as `GET /file HTTP/1.1`.
    public let line: String
    /// The fields by their names in small letters.
    public let fields: [String: String]

    /// What stands between the method and the version.
    public var target: String { line.split(separator: " ").dropFirst().first.map(String.init) ?? "" }
  }

  /// An answer.
  public struct Reply: Sendable {
    /// The status code and its words.
    public var status = "200 OK"
    /// The fields, such as `ETag: "a"`.
    public var fields: [String] = []
    /// The body.
    public var body = Data()
    /// The length that is claimed; that of the body if absent, and none if negative.
    public var length: Int?
    /// The bytes of the body after which the connection is broken, or goes silent.
    public var limit: Int?
    /// How long the connection stays open and silent after the last byte.
    public var silence = 0.0
    /// Whether the connection is broken without a word.
    public var isHangUp = false

    /// An answer with a body.
    public init(_ status: String = "200 OK", _ fields: [String] = [], body: Data = Data()) {
      (self.status, self.fields, self.body) = (status, fields, body)
    }

    /// A file, or the part of it that is asked for on the condition that it has the tag.
    public static func file(_ content: Data, tag: String, for request: Request) -> Reply {
      let fields = ["ETag: \"\(tag)\""]
      guard request.fields["if-range"] == "\"\(tag)\"",
        let match = request.fields["range"]?.wholeMatch(of: #/bytes=(\d+)-/#), let first = Int(match.1)
      else { return Reply(fields, content) }
      return Reply(
        "206 Partial Content",
        fields + ["Content-Range: bytes \(first)-\(content.count - 1)/\(content.count)"],
        body: content.dropFirst(first))
    }

    private init(_ fields: [String], _ body: Data) { self.init("200 OK", fields, body: body) }

    /// The same answer, broken off after some bytes of its body.
    public func brokenOff(after limit: Int) -> Reply {
      var reply = self
      reply.limit = limit
      return reply
    }
  }

  /// The port it listens at.
  public let port: Int
  private let listener: Int32
  private let answer: @Sendable (Request, Int) -> Reply
  private let log = Mutex<[Request]>([])

  /// A server that answers until it is stopped.
  ///
  /// - Parameter answer: takes a request and how many there were before.
  /// - Throws: the system's error if there is no port to listen at.
  public init(_ answer: @escaping @Sendable (Request, Int) -> Reply) throws {
    self.answer = answer
    #if canImport(Glibc)
      let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    #else
      let listener = socket(AF_INET, SOCK_STREAM, 0)
    #endif
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let status = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        bind(listener, address, length) == 0 && listen(listener, 16) == 0
          && getsockname(listener, address, &length) == 0
      }
    }
    self.listener = listener
    port = Int(UInt16(bigEndian: address.sin_port))
    guard status else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
    Thread { [self] in
      while true {
        let connection = accept(listener, nil, nil)
        guard connection >= 0 else { return }
        Thread { [self] in serve(connection) }.start()
      }
    }.start()
  }

  /// The address of a file.
  public func url(_ name: String) -> String { "http://127.0.0.1:\(port)/\(name)" }

  /// What was asked for so far.
  public var requests: [Request] { log.withLock { $0 } }

  /// Ends the server.
  public func stop() {
    shutdown(listener, Int32(SHUT_RDWR))
    close(listener)
  }

  private func serve(_ connection: Int32) {
    defer { close(connection) }
    guard let request = Self.request(from: connection) else { return }
    let index = log.withLock { log in
      log.append(request)
      return log.count - 1
    }
    let reply = answer(request, index)
    if reply.isHangUp { return }
    var head = ["HTTP/1.1 \(reply.status)", "Connection: close"] + reply.fields
    let length = reply.length ?? reply.body.count
    if length >= 0 { head.append("Content-Length: \(length)") }
    Self.send(Data((head + ["", ""]).joined(separator: "\r\n").utf8), to: connection)
    Self.send(reply.body.prefix(reply.limit ?? .max), to: connection)
    if reply.silence > 0 { Thread.sleep(forTimeInterval: reply.silence) }
  }

  private static func request(from connection: Int32) -> Request? {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while !String(decoding: bytes, as: UTF8.self).contains("\r\n\r\n") {
      let count = recv(connection, &buffer, buffer.count, 0)
      guard count > 0 else { return nil }
      bytes += buffer[..<count]
    }
    let lines = String(decoding: bytes, as: UTF8.self).components(separatedBy: "\r\n")
    let pairs = lines.dropFirst().compactMap { line in
      line.firstIndex(of: ":").map { colon in
        (line[..<colon].lowercased(), line[colon...].dropFirst().trimmingCharacters(in: .whitespaces))
      }
    }
    return Request(line: lines[0], fields: Dictionary(pairs) { $1 })
  }

  private static func send(_ data: Data, to connection: Int32) {
    data.withUnsafeBytes { bytes in
      var rest = bytes[...]
      while !rest.isEmpty {
        let slice = UnsafeRawBufferPointer(rebasing: rest)
        // The other side may have gone, which is no reason for a signal.
        let count = systemSend(connection, slice.baseAddress, slice.count)
        guard count > 0 else { return }
        rest = rest.dropFirst(count)
      }
    }
  }
}

/// `send(2)` without a signal if nobody receives.
private func systemSend(_ connection: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
  #if canImport(Glibc)
    send(connection, bytes, count, Int32(MSG_NOSIGNAL))
  #else
    send(connection, bytes, count, 0)
  #endif
}
