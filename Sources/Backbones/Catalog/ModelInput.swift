/// What a model takes: the image size and statistics that its weights were trained with.
public struct ModelInput: Hashable, Sendable {
  /// Height and width in pixels.
  public var imageSize: (height: Int, width: Int) { (size, size) }
  /// The side of the square input in pixels.
  public var size = 224
  /// The share of the resized image that the central crop keeps.
  public var cropFraction = 0.875
  /// The filter that images are resized by.
  public var interpolation = Interpolation.bicubic
  /// The mean of each channel in 0...1, subtracted.
  public var mean = [0.485, 0.456, 0.406]
  /// The standard deviation of each channel in 0...1, divided by.
  public var deviation = [0.229, 0.224, 0.225]

  /// A filter of resizing.
  public enum Interpolation: String, Hashable, Sendable {
    /// A triangle.
    case bilinear
    /// Keys' cubic.
    case bicubic
  }

  /// ImageNet's usual preprocessing at that size and crop.
  public init(size: Int = 224, cropFraction: Double = 0.875, interpolation: Interpolation = .bicubic) {
    self.size = size
    self.cropFraction = cropFraction
    self.interpolation = interpolation
  }
}
