public import Randomness

/// Resizes so that the shorter side gets a given length and the aspect ratio stays.
///
/// The longer side is rounded down, as in torchvision's `Resize` with one number.
public struct ResizeShortestEdge: Transform, Hashable {
  /// The shorter side of the result, in pixels.
  public var length: Int
  /// The weighting of neighbours.
  public var filter: ResizeFilter

  /// Resizes the shorter side to `length` pixels.
  public init(_ length: Int, filter: ResizeFilter = .bicubic) {
    self.length = length
    self.filter = filter
  }

  /// The resize before a centre crop of `cropSize` that keeps `cropFraction` of the shorter side, as timm's
  /// evaluation does: floor(crop size / fraction).
  public init(beforeCenterCrop cropSize: Int, cropFraction: Double, filter: ResizeFilter = .bicubic) {
    guard cropFraction > 0, cropFraction <= 1 else {
      fatalError("The crop fraction is more than 0 and at most 1; got \(cropFraction).")
    }
    self.init(Int(Double(cropSize) / cropFraction), filter: filter)
  }

  /// The resized picture.
  public func callAsFunction(_ image: Image, using random: inout CounterRandom) -> Image {
    if image.height <= image.width {
      image.resized(height: length, width: length * image.width / image.height, filter: filter)
    } else {
      image.resized(height: length * image.height / image.width, width: length, filter: filter)
    }
  }
}
