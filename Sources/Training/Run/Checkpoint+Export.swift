public import Torch

extension Checkpoint {
  /// A weight to be used, and the key of the tensor that holds it.
  public struct ExportedWeight: Sendable, Equatable {
    /// The model's key.
    public let key: String
    /// The key in the checkpoint.
    public let stored: String
  }

  /// The weights that a run's checkpoint means to be used: the moving averages where the file has them.
  ///
  /// - Parameter weights: any file of weights.
  /// - Returns: the model's weights in the file's order, or `nil` if the file is not a run's checkpoint.
  public static func exportedWeights(of weights: StateDictionary) -> [ExportedWeight]? {
    guard weights.metadata["format"] == format else { return nil }
    let keys = weights.entries.map(\.key)
    let averages = keys.filter { $0.hasPrefix(Prefix.average) }
    guard averages.isEmpty else {
      return averages.map { ExportedWeight(key: String($0.dropFirst(Prefix.average.count)), stored: $0) }
    }
    return keys.filter { key in !Prefix.all.contains { key.hasPrefix($0) } }.map {
      ExportedWeight(key: $0, stored: $0)
    }
  }
}
