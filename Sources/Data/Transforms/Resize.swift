public import Randomness

/// Resizes to exact sizes, whatever the aspect ratio.
public struct Resize: Transform, Hashable {
  /// Rows of the result.
  public var height: Int
  /// Columns of the result.
  public var width: Int
  /// The weighting of neighbours.
  public var filter: ResizeFilter

  /// Resizes to `height` rows and `width` columns.
  public init(height: Int, width: Int, filter: ResizeFilter = .bicubic) {
    self.height = height
    self.width = width
    self.filter = filter
  }

  /// The resized picture.
  public func callAsFunction(_ image: Image, using random: inout CounterRandom) -> Image {
    image.resized(height: height, width: width, filter: filter)
  }
}
