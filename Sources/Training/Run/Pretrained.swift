public import Backbones
public import Downloads
public import Foundation
public import Layers
import Torch

/// The file of the weights that a run starts from: an author's checkpoint with the catalog's keys, or one of
/// `ganglion train`, of which the moving averages count where it has them.
public struct Pretrained {
  /// What stands in a recipe instead of a file for the weights that the model's authors publish.
  public static let published = "published"

  /// The file.
  public let path: String
  private let weights: StateDictionary
  private let prefix: String

  /// Opens a file; tensors are read when they are asked for.
  ///
  /// - Parameters:
  ///   - url: the file.
  ///   - dictionary: which of the file's dictionaries holds the weights, where it has several.
  /// - Throws: `CheckpointError` if the file cannot be read, or has no such dictionaries.
  public init(contentsOf url: URL, dictionary: String? = nil) throws {
    self.init(try StateDictionary(contentsOf: url, selecting: dictionary))
  }

  /// Opens the weights that a model's authors publish, which must have been fetched.
  ///
  /// - Parameters:
  ///   - architecture: the model.
  ///   - dictionary: which of the file's dictionaries holds the weights; the one that the authors' code takes if absent.
  ///   - cache: where the file is.
  /// - Throws: `DownloadError` if the authors publish none or the file is not there; `CheckpointError` if it cannot be
  ///   read.
  public init(
    publishedFor architecture: Architecture, dictionary: String? = nil,
    in cache: WeightsCache = WeightsCache()
  ) throws {
    let published = try architecture.publishedWeights()
    guard let file = cache.file(of: published) else {
      throw DownloadError(
        published.url, "is not in the cache",
        remedy: "fetch it with `ganglion download \(architecture.rawValue)`")
    }
    self.init(
      try dictionary.map { try StateDictionary(contentsOf: file.url, selecting: $0) }
        ?? StateDictionary(contentsOf: file.url, publishedAs: published))
  }

  private init(_ weights: StateDictionary) {
    self.weights = weights
    path = weights.path
    let averages = Checkpoint.Prefix.average
    prefix = weights.entries.contains { $0.key.hasPrefix(averages) } ? averages : ""
  }

  /// Copies the weights into a model that may differ in its classes, image channels and sizes of positions.
  ///
  /// - Parameter model: the model; it is changed only if everything fits.
  /// - Returns: what was loaded and what was adapted.
  /// - Throws: `ParameterMismatch` with every key that does not fit, or `CheckpointError` if the file cannot be read.
  public func load(into model: Model) throws -> AdaptationReport {
    let keys = weights.entries.map(\.key).filter { Checkpoint.isWeight($0, below: prefix) }
    let tensors = try keys.map { (String($0.dropFirst(prefix.count)), try weights.tensor($0)) }
    return try model.store.load(
      adapting: Dictionary(tensors) { first, _ in first },
      from: path + (prefix.isEmpty ? "" : " (moving averages)"))
  }
}
