public import Randomness

/// Moves a small picture about: pads all sides, then cuts a random rectangle of exact sizes.
///
/// He et al., "Deep Residual Learning", CVPR 2016, section 4.2 (4 pixels of padding for 32x32 pictures).
public struct RandomPaddedCrop: Transform, Hashable {
  /// Rows of the result.
  public var height: Int
  /// Columns of the result.
  public var width: Int
  /// Pixels added to each side.
  public var padding: Int
  /// The value of the added pixels, in all channels.
  public var fill: UInt8

  /// Pads by `padding` and cuts `height` rows and `width` columns.
  public init(height: Int, width: Int, padding: Int, fill: UInt8 = 0) {
    self.height = height
    self.width = width
    self.padding = padding
    self.fill = fill
  }

  /// A random part of the padded picture.
  public func callAsFunction(_ image: Image, using random: inout CounterRandom) -> Image {
    let top = start(of: height, in: image.height, using: &random)
    let left = start(of: width, in: image.width, using: &random)
    return image.cropped(
      to: PixelRectangle(left: left, top: top, height: height, width: width), fill: fill)
  }

  /// A picture that is too small even with its padding stays in the middle.
  private func start(of length: Int, in available: Int, using random: inout CounterRandom) -> Int {
    let last = available + padding - length
    return last < -padding ? (available - length) / 2 : random.integer(in: -padding..<(last + 1))
  }
}
