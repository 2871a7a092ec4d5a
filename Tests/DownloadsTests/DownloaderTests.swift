import Backbones
import Downloads
import Foundation
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(15))) struct DownloaderTests {
  @Test func aFileComesOnceAndWhole() async throws {
    try await withServer({ request, _ in .file(content, tag: "a", for: request) }) { server in
      try await withDownloader { downloader in
        let weights = server.weights()
        let record = Record()
        let file = try await downloader.file(of: weights) { record.add($0) }
        #expect(try Data(contentsOf: file) == content)
        #expect(file == downloader.cache.location(of: weights))
        let names = try downloader.names
        #expect(names == [file.lastPathComponent])
        #expect(
          record.events.last == .progress(received: content.count, total: content.count, resumed: 0))
        let again = try await downloader.file(of: weights)
        #expect(again == file)
        #expect(server.requests.count == 1)
        // A compressed body would have other offsets.
        #expect(server.requests[0].fields["accept-encoding"] == "identity")
      }
    }
  }

  @Test func whatABrokenConnectionBroughtIsNotFetchedAgain() async throws {
    try await withServer({ request, index in
      let reply = LocalServer.Reply.file(content, tag: "a", for: request)
      return index < 3 ? reply.brokenOff(after: 50_000) : reply
    }) { server in
      try await withDownloader { downloader in
        downloader.attempts = 2
        let record = Record()
        let file = try await downloader.file(of: server.weights()) { record.add($0) }
        #expect(try Data(contentsOf: file) == content)
        #expect(server.starts == [nil, 50_000, 100_000, 150_000])
        #expect(server.requests.dropFirst().allSatisfy { $0.fields["if-range"] == "\"a\"" })
        #expect(record.problems.count == 3 && record.problems[0].contains("150000 bytes remaining"))
      }
    }
  }

  /// As after the end of a process.
  @Test func theNextCallGoesOnWhereTheLastOneStopped() async throws {
    try await withServer({ request, index in
      let reply = LocalServer.Reply.file(content, tag: "a", for: request)
      return index == 0 ? reply.brokenOff(after: 70_000) : reply
    }) { server in
      try await withDownloader { downloader in
        downloader.attempts = 1
        let weights = server.weights()
        await #expect(throws: DownloadError.self) { try await downloader.file(of: weights) }
        let left = downloader.cache.files(of: weights)
        #expect(left.map(\.byteCount) == [70_000] && left.map(\.isComplete) == [false])
        #expect(downloader.cache.file(of: weights) == nil)
        let record = Record()
        let file = try await downloader.file(of: weights) { record.add($0) }
        #expect(try Data(contentsOf: file) == content)
        #expect(server.starts == [nil, 70_000])
        #expect(
          record.events.last == .progress(received: content.count, total: content.count, resumed: 70_000))
        let names = try downloader.names
        #expect(names == [file.lastPathComponent])
      }
    }
  }

  /// Servers that cannot or must not continue what was begun.
  @Test(arguments: ["ignores ranges", "has another file now", "has a weak tag", "has no tag"])
  func aFileThatCannotBeContinuedIsFetchedAnew(server kind: String) async throws {
    let other = Data(content.reversed())
    try await withServer({ request, index in
      var reply = LocalServer.Reply.file(content, tag: "a", for: request)
      switch kind {
      case "ignores ranges": reply = .init("200 OK", ["ETag: \"a\""], body: content)
      case "has another file now" where index > 0: reply = .file(other, tag: "b", for: request)
      case "has a weak tag": reply = .init("200 OK", ["ETag: W/\"a\""], body: content)
      case "has no tag": reply = .init(body: content)
      default: break
      }
      return index == 0 ? reply.brokenOff(after: 90_000) : reply
    }) { server in
      try await withDownloader { downloader in
        let file = try await downloader.file(of: server.weights())
        #expect(try Data(contentsOf: file) == (kind == "has another file now" ? other : content))
        let isConditional = ["ignores ranges", "has another file now"].contains(kind)
        #expect(server.starts == [nil, isConditional ? 90_000 : nil])
      }
    }
  }

  @Test func aDateServesWhereThereIsNoTag() async throws {
    let date = "Sat, 01 Nov 2025 10:00:00 GMT"
    try await withServer({ request, index in
      guard request.fields["if-range"] == date else {
        return LocalServer.Reply("200 OK", ["Last-Modified: \(date)"], body: content).brokenOff(after: 60_000)
      }
      return .init(
        "206 Partial Content", ["Content-Range: bytes 60000-199999/200000"], body: content.dropFirst(60_000))
    }) { server in
      try await withDownloader { downloader in
        let bytes = try await downloader.bytes(of: server.weights())
        #expect(bytes == content)
        #expect(server.starts == [nil, 60_000])
      }
    }
  }

  /// Answers to a request for the rest that do not fit what was asked for.
  @Test(arguments: [
    ("206 Partial Content", "Content-Range: bytes 50000-199999/200000"),
    ("206 Partial Content", "Content-Range: nothing"),
    ("206 Partial Content", "X-No: range"),
    ("206 Partial Content", "ETag: \"b\"\r\nContent-Range: bytes 90000-199999/200000"),
    ("416 Range Not Satisfiable", "Content-Range: bytes */10"),
  ]) func aStrangeRestIsFetchedAnew(status: String, field: String) async throws {
    try await withServer({ request, index in
      switch index {
      case 0: .file(content, tag: "a", for: request).brokenOff(after: 90_000)
      case 1: .init(status, [field], body: content.dropFirst(field.contains("90000") ? 90_000 : 50_000))
      default: .file(content, tag: "a", for: request)
      }
    }) { server in
      try await withDownloader { downloader in
        let bytes = try await downloader.bytes(of: server.weights())
        #expect(bytes == content)
        #expect(server.starts == [nil, 90_000, nil])
      }
    }
  }

  @Test func redirectionsAreFollowedWithTheRange() async throws {
    try await withServer({ request, index in
      if request.target == "/w.pth" { return .init("302 Found", ["Location: /store/1"]) }
      let reply = LocalServer.Reply.file(content, tag: "a", for: request)
      return index == 1 ? reply.brokenOff(after: 80_000) : reply
    }) { server in
      try await withDownloader { downloader in
        let bytes = try await downloader.bytes(of: server.weights())
        #expect(bytes == content)
        #expect(server.requests.map(\.target) == ["/w.pth", "/store/1", "/w.pth", "/store/1"])
        #expect(server.starts == [nil, nil, 80_000, 80_000])
      }
    }
  }

  @Test func aBodyWithoutALengthEndsWithTheConnection() async throws {
    try await withServer({ _, _ in
      var reply = LocalServer.Reply(body: content)
      reply.length = -1
      return reply
    }) { server in
      try await withDownloader { downloader in
        let bytes = try await downloader.bytes(of: server.weights())
        #expect(bytes == content)
      }
    }
  }

  @Test(arguments: [
    "500 Internal Server Error", "503 Service Unavailable", "429 Too Many Requests", "hang up",
  ])
  func whatMayPassIsTriedAgain(status: String) async throws {
    try await withServer({ request, index in
      guard index < 2 else { return .file(content, tag: "a", for: request) }
      var reply = LocalServer.Reply(status)
      reply.isHangUp = status == "hang up"
      return reply
    }) { server in
      try await withDownloader { downloader in
        downloader.attempts = 3
        let bytes = try await downloader.bytes(of: server.weights())
        #expect(bytes == content)
        #expect(server.requests.count == 3)
      }
    }
  }

  /// The sentence of an attempt that fails, the number of requests it takes, and what it leaves.
  @Test(arguments: [
    ("404 Not Found", 1, "was refused with HTTP status 404; it was moved or withdrawn"),
    ("403 Forbidden", 1, "was refused with HTTP status 403; the server, or a proxy on the way"),
    ("418 I'm a teapot", 1, "was refused with HTTP status 418; fetch the file in a browser"),
    ("500 Internal Server Error", 3, "was refused with HTTP status 500; try again later"),
  ]) func refusalsAreToldInASentence(status: String, requests: Int, words: String) async throws {
    try await withServer({ _, _ in .init(status, body: Data("no".utf8)) }) { server in
      try await withDownloader { downloader in
        downloader.attempts = 3
        let error = try await #require(throws: DownloadError.self) {
          try await downloader.file(of: server.weights())
        }
        #expect(error.description.hasPrefix("\(server.url("w.pth")): \(words)"), "\(error)")
        #expect(server.requests.count == requests)
        let names = try downloader.names
        #expect(names.isEmpty)
      }
    }
  }

  @Test func aServerThatAlwaysStartsAnewAndBreaksOffIsGivenUp() async throws {
    try await withServer({ _, _ in LocalServer.Reply(body: content).brokenOff(after: 30_000) }) { server in
      try await withDownloader { downloader in
        downloader.attempts = 3
        _ = try await #require(throws: DownloadError.self) {
          try await downloader.file(of: server.weights())
        }
        #expect(server.requests.count == 3)
      }
    }
  }

  @Test func redirectionsInACircleEnd() async throws {
    try await withServer({ request, _ in .init("302 Found", ["Location: \(request.target)"]) }) { server in
      try await withDownloader { downloader in
        downloader.attempts = 1
        _ = try await #require(throws: DownloadError.self) {
          try await downloader.file(of: server.weights())
        }
        #expect(server.requests.count < 50)
      }
    }
  }

  @Test func aPageForPeopleIsNoFile() async throws {
    try await withServer({ _, _ in
      .init("200 OK", ["Content-Type: text/html; charset=utf-8"], body: Data("<html>".utf8))
    }) { server in
      try await withDownloader { downloader in
        let error = try await #require(throws: DownloadError.self) {
          try await downloader.file(of: server.weights())
        }
        #expect(error.problem == "is a page for people instead of a file of weights")
        let names = try downloader.names
        #expect(names.isEmpty)
      }
    }
  }

  @Test func aSilentServerIsLeftAndAskedForTheRest() async throws {
    try await withServer({ request, index in
      var reply = LocalServer.Reply.file(content, tag: "a", for: request)
      if index == 0 { (reply.limit, reply.silence) = (40_000, 20) }
      return reply
    }) { server in
      try await withDownloader { downloader in
        downloader.timeout = .seconds(1)
        let record = Record()
        let bytes = try await downloader.bytes(of: server.weights(), record: record)
        #expect(bytes == content)
        #expect(server.starts == [nil, 40_000])
        #expect(record.problems == ["fell silent for 1 s"])
      }
    }
  }

  @Test func nobodyAtTheAddressIsToldAtOnce() async throws {
    let server = try LocalServer { _, _ in .init() }
    server.stop()
    try await withDownloader { downloader in
      let record = Record()
      let error = try await #require(throws: DownloadError.self) {
        try await downloader.file(of: server.weights()) { record.add($0) }
      }
      #expect(error.remedy == "check the network; HTTPS_PROXY names a proxy if there is one")
      #expect(record.events.isEmpty)
      let names = try downloader.names
      #expect(names.isEmpty)
    }
  }

  @Test(arguments: ["file:///etc/hostname", "ftp://example.org/w.pth", "w.pth", ""])
  func otherAddressesAreRefused(url: String) async throws {
    try await withDownloader { downloader in
      let error = try await #require(throws: DownloadError.self) {
        try await downloader.file(of: PublishedWeights(url, license: .mit))
      }
      #expect(error.problem == "is not an address of the web")
    }
  }
}
