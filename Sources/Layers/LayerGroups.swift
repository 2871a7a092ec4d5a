/// Where a parameter stands in the order of computation.
public enum LayerPlace: Hashable, Comparable, Sendable {
  /// Before the first block: what projects the image, class tokens and tables of positions.
  case stem
  /// In a block of a stage, or between the block before and this one, as what halves a map is.
  case block(stage: Int, index: Int)
  /// After the last block.
  case head
}

/// The parameters of a model by their depth: 0 for the stem, 1 to n for its n blocks, n + 1 for the head.
///
/// What fine-tuning needs whose learning rates fall towards the image: Howard & Ruder, "Universal Language Model Fine-tuning"
/// (1801.06146), section 3.2, with the groups of Bao et al., "BEiT" (2106.08254), code.
public struct LayerGroups: Hashable, Sendable {
  /// The group of each parameter, frozen ones included, by key.
  public let numbers: [String: Int]
  /// The number of groups, those without parameters included: the blocks and two.
  public let count: Int

  /// The group of the parameter `key`; `nil` for a buffer and a key that is not the model's.
  public subscript(_ key: String) -> Int? { numbers[key] }

  /// What multiplies the learning rate of a group: decay for each group between it and the head, whose factor is 1.
  ///
  /// - Parameters:
  ///   - group: from 0 to ``count`` - 1.
  ///   - decay: from 0 to 1; 1 gives each group the same rate.
  /// - Returns: decay to the power of (`count` - 1 - `group`).
  public func learningRateScale(of group: Int, decay: Double) -> Double {
    (group..<count - 1).reduce(1) { scale, _ in scale * decay }
  }
}

extension ParameterStore {
  /// The parameters by their depth.
  public var layerGroups: LayerGroups {
    let parameters = entries.filter { $0.kind != .buffer }
    let blocks = Set(parameters.map(\.place)).subtracting([.stem, .head]).sorted()
    let places = [.stem] + blocks + [.head]
    let numbers = Dictionary(uniqueKeysWithValues: zip(places, places.indices))
    return LayerGroups(
      numbers: Dictionary(uniqueKeysWithValues: parameters.map { ($0.key, numbers[$0.place] ?? 0) }),
      count: places.count)
  }
}
