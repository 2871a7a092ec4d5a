public import Randomness

/// Turns a picture into greys, as ``Image/grayscale()`` does.
///
/// Put first, what follows computes what Pillow does with a picture of mode `L`, three times over.
public struct Grayscale: Transform, Hashable {
  /// A picture's greys.
  public init() {}

  /// The picture in greys.
  public func callAsFunction(_ image: Image, using random: inout CounterRandom) -> Image { image.grayscale() }
}
