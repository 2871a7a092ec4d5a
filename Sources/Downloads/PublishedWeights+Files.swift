public import Backbones
public import Foundation
public import Torch

extension Downloader {
  /// Whether the environment asks for no network: `GANGLION_OFFLINE` is there and neither empty nor 0.
  public static func isOffline(
    environment: [String: String] = ProcessInfo.processInfo.environment
  ) -> Bool {
    !["", "0"].contains(environment["GANGLION_OFFLINE", default: ""])
  }
}

extension Architecture {
  /// The weights that the authors publish.
  ///
  /// - Throws: ``DownloadError`` if there are none.
  public func publishedWeights() throws -> PublishedWeights {
    guard let weights = publication?.weights else {
      throw DownloadError(
        rawValue, "has no published weights",
        remedy: publication == nil
          ? "train it, or choose a model of a paper" : "its authors publish others of the family")
    }
    return weights
  }
}

extension StateDictionary {
  /// Opens a file of published weights at the dictionary that the authors' code takes.
  ///
  /// - Parameters:
  ///   - url: the file.
  ///   - weights: what is known of it.
  /// - Throws: `CheckpointError` if the file cannot be read, or has no weights where they usually are.
  public init(contentsOf url: URL, publishedAs weights: PublishedWeights) throws {
    let file = try StateDictionary(contentsOf: url)
    let candidates = file.selection?.candidates ?? []
    guard let wanted = weights.dictionaries.first(where: candidates.contains), wanted != file.selection?.path
    else {
      self = file
      return
    }
    self = try StateDictionary(contentsOf: url, selecting: wanted)
  }
}
