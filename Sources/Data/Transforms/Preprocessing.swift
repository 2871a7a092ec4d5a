public import Randomness

/// What happens to a picture between its file and the network.
public struct Preprocessing: Sendable {
  /// Changes of the 8-bit picture, in order.
  public var transforms: [any Transform]
  /// The step from 8-bit samples to numbers.
  public var normalization: Normalization
  /// The change after normalisation, if any.
  public var erasing: RandomErasing?

  /// Applies `transforms`, then `normalization`, then `erasing`.
  public init(
    _ transforms: [any Transform], normalization: Normalization = .imageNet, erasing: RandomErasing? = nil
  ) {
    self.transforms = transforms
    self.normalization = normalization
    self.erasing = erasing
  }

  /// The usual evaluation: the shorter side to floor(`size` / `cropFraction`), then the middle `size` by `size`.
  public static func evaluation(
    size: Int, cropFraction: Double = 0.875, filter: ResizeFilter = .bicubic,
    normalization: Normalization = .imageNet
  ) -> Preprocessing {
    Preprocessing(
      [
        ResizeShortestEdge(beforeCenterCrop: size, cropFraction: cropFraction, filter: filter),
        CenterCrop(height: size, width: size),
      ], normalization: normalization)
  }

  /// The usual training: a random resized crop of `size` by `size`, a random flip, then `others`.
  public static func training(
    size: Int, filters: [ResizeFilter] = [.bicubic], then others: [any Transform] = [],
    normalization: Normalization = .imageNet, erasing: RandomErasing? = nil
  ) -> Preprocessing {
    Preprocessing(
      [RandomResizedCrop(height: size, width: size, filters: filters), RandomHorizontalFlip()] + others,
      normalization: normalization, erasing: erasing)
  }

  /// The picture after all transforms, before normalisation.
  public func transformed(_ image: Image, using random: inout CounterRandom) -> Image {
    transforms.reduce(image) { image, transform in transform(image, using: &random) }
  }

  /// Writes the planes `[channels, height, width]` of a transformed picture; `planes` has exactly that many elements.
  func write(
    _ transformed: Image, to planes: UnsafeMutableBufferPointer<Float>, using random: inout CounterRandom
  ) {
    normalization.write(transformed, to: planes)
    erasing?(planes, height: transformed.height, width: transformed.width, using: &random)
  }
}
