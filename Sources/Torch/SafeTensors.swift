public import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A file of named tensors in the safetensors format, read tensor by tensor as they are asked for.
///
/// The format: eight bytes with the length of a header (little-endian), the header in JSON (for each name `dtype`,
/// `shape` and `data_offsets`; texts under `__metadata__`), then the elements, little-endian and row-major, without
/// gaps. Files of strangers are safe to open: everything the header says is checked against the file's size before
/// memory is asked for, and nothing in it is executed.
public struct SafeTensors: Sendable {
  /// One tensor of the file.
  public struct Entry: Sendable, Equatable {
    /// The tensor's name.
    public let name: String
    /// The type of the elements.
    public let dtype: DType
    /// The sizes.
    public let shape: [Int]
    /// Where the elements lie, in bytes from the end of the header.
    public let byteRange: Range<Int>
  }

  /// The tensors, in the header's order.
  public let entries: [Entry]
  /// The texts that the file carries about itself.
  public let metadata: [String: String]
  private let positions: [String: Int]
  private let file: RandomAccessFile
  private let dataStart: Int

  /// The largest header that is read, in bytes.
  public static let headerLimit = 100_000_000

  /// Opens a file and reads its header.
  ///
  /// - Throws: ``CheckpointError`` if the file cannot be opened or breaks a rule of the format.
  public static func read(from url: URL) throws -> SafeTensors { try SafeTensors(contentsOf: url) }

  private init(contentsOf url: URL) throws {
    let file = try RandomAccessFile(url)
    let path = file.path
    func broken(_ problem: String) -> CheckpointError {
      CheckpointError(path: path, problem: problem, remedy: Self.brokenRemedy)
    }
    guard file.count >= 8 else {
      throw broken("a safetensors file starts with 8 bytes of header length, and this one has \(file.count)")
    }
    var prefix: UInt64 = 0
    try withUnsafeMutableBytes(of: &prefix) { try file.read(into: $0, at: 0) }
    let declared = UInt64(littleEndian: prefix)
    guard declared <= UInt64(Self.headerLimit) else {
      throw broken("its header claims \(declared) bytes, more than the \(Self.headerLimit) allowed")
    }
    let length = Int(declared)
    guard length <= file.count - 8 else {
      throw broken("its header claims \(length) bytes, and only \(file.count - 8) follow")
    }
    let bytes = try [UInt8](unsafeUninitializedCapacity: length) { buffer, initialized in
      try file.read(into: UnsafeMutableRawBufferPointer(buffer), at: 8)
      initialized = length
    }
    let header: SafeTensorsHeader
    do {
      header = try SafeTensorsHeader(bytes, dataCount: file.count - 8 - length)
    } catch {
      throw CheckpointError(path: path, key: error.key, problem: error.problem, remedy: Self.brokenRemedy)
    }
    self.file = file
    dataStart = 8 + length
    entries = header.entries
    metadata = header.metadata
    positions = header.positions
  }

  private static let brokenRemedy = "download or export the file again"

  /// The names of the tensors, in the header's order.
  public var names: [String] { entries.map(\.name) }

  /// What the header says of the tensor of that name, if there is one.
  public func entry(_ name: String) -> Entry? { positions[name].map { entries[$0] } }

  /// Reads the elements of one tensor.
  ///
  /// - Parameter name: one of ``names``.
  /// - Returns: a tensor on the CPU with memory of its own.
  /// - Throws: ``CheckpointError`` if there is no such tensor or the file cannot be read.
  public func tensor(_ name: String) throws -> Tensor {
    guard let entry = entry(name) else {
      let sample = names.prefix(3).map { "'\($0.prefix(100))'" }.joined(separator: ", ")
      throw CheckpointError(
        path: file.path, key: name, problem: "is not in the file",
        remedy: entries.isEmpty
          ? "the file holds no tensors" : "choose one of its \(entries.count), such as \(sample)")
    }
    // A byte of a truth value may be anything in a stranger's file, but only 0 or 1 in memory.
    let stored = entry.dtype == .bool ? DType.uint8 : entry.dtype
    let tensor = try Tensor(entry.shape, dtype: stored) { buffer in
      try file.read(into: buffer, at: dataStart + entry.byteRange.lowerBound)
    }
    return entry.dtype == .bool ? tensor .!= 0.0 : tensor
  }

  /// Reads all tensors, in the header's order.
  ///
  /// - Throws: ``CheckpointError`` if the file cannot be read.
  public func tensors() throws -> [(name: String, tensor: Tensor)] {
    try entries.map { ($0.name, try tensor($0.name)) }
  }
}

/// A regular file read at any position; it stays readable if its name is given to another file meanwhile.
private final class RandomAccessFile: Sendable {
  let path: String
  let count: Int
  private let descriptor: Int32

  init(_ url: URL) throws {
    path = url.path(percentEncoded: false)
    // Without O_NONBLOCK, opening a pipe would wait for a writer.
    descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      throw CheckpointError(
        path: path, problem: "cannot be opened (\(String(cString: strerror(errno))))",
        remedy: "check the path and the permissions")
    }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw CheckpointError(path: path, problem: "is not a regular file", remedy: "give the path of a file")
    }
    count = Int(status.st_size)
  }

  deinit { close(descriptor) }

  /// Fills `buffer` from `offset` on.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws {
    var done = 0
    while done < buffer.count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
      let got = pread(descriptor, rest.baseAddress, rest.count, off_t(offset + done))
      if got < 0 && errno == EINTR { continue }
      guard got > 0 else {
        let cause = got == 0 ? "it became shorter while being read" : String(cString: strerror(errno))
        throw CheckpointError(
          path: path, problem: "cannot be read (\(cause))", remedy: "download or export the file again")
      }
      done += got
    }
  }
}
