import Backbones
import Downloads
import Foundation
import Synchronization
import TestSupport

/// Runs `body` with a downloader that is quick to try again, into a folder that is removed afterwards.
func withDownloader(_ body: (inout Downloader) async throws -> Void) async throws {
  let folder = FileManager.default.temporaryDirectory.appending(path: "ganglion-cache-\(UUID().uuidString)")
  defer { try? FileManager.default.removeItem(at: folder) }
  var downloader = Downloader(cache: WeightsCache(folder: folder))
  downloader.pause = .milliseconds(1)
  downloader.timeout = .seconds(20)
  try await body(&downloader)
}

/// Runs `body` with a server that answers with `answer`.
func withServer(
  _ answer: @escaping @Sendable (LocalServer.Request, Int) -> LocalServer.Reply,
  _ body: (LocalServer) async throws -> Void
) async throws {
  let server = try LocalServer(answer)
  defer { server.stop() }
  try await body(server)
}

/// Bytes that tell their place.
let content = Data((0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) })

extension LocalServer {
  /// Weights at an address of this server.
  func weights(_ name: String = "w.pth", sha256: String? = nil) -> PublishedWeights {
    PublishedWeights(url(name), sha256: sha256, license: .mit)
  }

  /// Where each request began, or `nil` if it asked for the whole file.
  var starts: [Int?] {
    requests.map { request in
      (request.fields["range"]?.wholeMatch(of: #/bytes=(\d+)-/#)).flatMap { Int($0.1) }
    }
  }
}

extension Downloader {
  /// The bytes of a file of weights.
  func bytes(of weights: PublishedWeights, record: Record = Record()) async throws -> Data {
    try Data(contentsOf: try await file(of: weights) { record.add($0) })
  }

  /// The names of what is in the cache.
  var names: [String] {
    get throws { try files(in: cache.folder) }
  }
}

/// What a downloader told of.
final class Record: Sendable {
  private let list = Mutex<[Downloader.Event]>([])

  var events: [Downloader.Event] { list.withLock { $0 } }
  var problems: [String] {
    events.compactMap { event in
      if case .retry(let problem, _) = event { problem } else { nil }
    }
  }

  func add(_ event: Downloader.Event) { list.withLock { $0.append(event) } }
}
