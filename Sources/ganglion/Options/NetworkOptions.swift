import ArgumentParser
import Backbones
import Downloads
import Foundation

/// How published weights come here.
struct NetworkOptions: ParsableArguments {
  @Flag(help: "Use no network: published weights must be in the cache already, as with GANGLION_OFFLINE=1.")
  var offline = false

  var downloader: Downloader {
    var downloader = Downloader()
    downloader.isOffline = offline || Downloader.isOffline()
    return downloader
  }

  /// Fetches a model's published weights if they are not in the cache, and says what they may be used for.
  ///
  /// - Returns: the file.
  /// - Throws: an error that says what is missing.
  func fetch(_ architecture: Architecture) async throws -> URL {
    let downloader = downloader
    let weights = try architecture.publishedWeights()
    guard downloader.cache.file(of: weights) == nil, !downloader.isOffline else {
      return try await downloader.file(of: weights)
    }
    say("fetching \(weights.url)")
    say("\(architecture.rawValue): \(weights.license.sentence)")
    let line = TransferLine()
    defer { line.clear() }
    return try await downloader.file(of: weights) { line.show($0) }
  }
}
