public import Randomness

/// Mirrors some of the pictures.
public struct RandomHorizontalFlip: Transform, Hashable {
  /// The share of pictures that are mirrored.
  public var probability: Double

  /// Mirrors with a probability.
  public init(probability: Double = 0.5) {
    self.probability = probability
  }

  /// The picture or its mirror image.
  public func callAsFunction(_ image: Image, using random: inout CounterRandom) -> Image {
    random.chance(probability) ? image.flippedHorizontally() : image
  }
}
