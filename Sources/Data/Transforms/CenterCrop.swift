public import Randomness

/// Keeps the middle; a picture that is too small gets a black border.
///
/// Uneven margins fall as in torchvision's `CenterCrop`: borders put the extra pixel after the picture, crops round
/// half a pixel to even.
public struct CenterCrop: Transform, Hashable {
  /// Rows of the result.
  public var height: Int
  /// Columns of the result.
  public var width: Int

  /// Keeps the middle `height` rows and `width` columns.
  public init(height: Int, width: Int) {
    self.height = height
    self.width = width
  }

  /// The middle of the picture.
  public func callAsFunction(_ image: Image, using random: inout CounterRandom) -> Image {
    image.cropped(
      to: PixelRectangle(
        left: start(of: width, in: image.width), top: start(of: height, in: image.height),
        height: height, width: width))
  }

  private func start(of length: Int, in available: Int) -> Int {
    available < length
      ? -((length - available) / 2)
      : Int((Double(available - length) / 2).rounded(.toNearestOrEven))
  }
}
