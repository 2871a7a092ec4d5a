import Downloads
import Foundation
import TestSupport
import Testing

@Suite struct DigestTests {
  // The example of FIPS 180-2, appendix B.1.
  private static let text = Data("abc".utf8)
  private static let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

  @Test(arguments: [digest, String(digest.prefix(8)), digest.uppercased()])
  func aFileWithTheDigestIsKept(sha256: String) async throws {
    try await withServer({ _, _ in .init(body: Self.text) }) { server in
      try await withDownloader { downloader in
        let file = try await downloader.file(of: server.weights(sha256: sha256))
        #expect(try Data(contentsOf: file) == Self.text)
      }
    }
  }

  @Test(arguments: [String(digest.prefix(63)) + "e", "ba7816be"])
  func anotherFileIsRemoved(sha256: String) async throws {
    try await withServer({ _, _ in .init("200 OK", ["ETag: \"a\""], body: Self.text) }) { server in
      try await withDownloader { downloader in
        let error = try await #require(throws: DownloadError.self) {
          try await downloader.file(of: server.weights(sha256: sha256))
        }
        let found = Self.digest.prefix(sha256.count)
        #expect(error.problem == "has the SHA-256 digest \(found) instead of \(sha256), and was removed")
        let names = try downloader.names
        #expect(names.isEmpty)
      }
    }
  }

  /// A claimed length that is too short gives the beginning of a file, which only its digest tells from the whole.
  @Test func aTruncatedFileIsRemoved() async throws {
    try await withServer({ _, _ in
      var reply = LocalServer.Reply(body: Self.text)
      reply.length = 2
      return reply
    }) { server in
      try await withDownloader { downloader in
        await #expect(throws: DownloadError.self) {
          try await downloader.file(of: server.weights(sha256: Self.digest))
        }
        let names = try downloader.names
        #expect(names.isEmpty)
      }
    }
  }
}
