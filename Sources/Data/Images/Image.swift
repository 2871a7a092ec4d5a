/// A picture of 8-bit RGB pixels.
///
/// Sizes are always given as height, then width, in pixels.
public struct Image: Hashable, Sendable {
  /// The number of rows.
  public let height: Int
  /// The number of pixels in a row.
  public let width: Int
  /// The samples `[height, width, 3]`, row by row from the top, red, green and blue together.
  public internal(set) var pixels: [UInt8]

  /// Wraps samples `[height, width, 3]`; both sizes must be positive.
  public init(height: Int, width: Int, pixels: [UInt8]) {
    guard height > 0, width > 0, pixels.count == height * width * 3 else {
      fatalError(
        "An image of \(height)x\(width) pixels needs \(height * width * 3) samples and positive sizes; "
          + "got \(pixels.count).")
    }
    self.height = height
    self.width = width
    self.pixels = pixels
  }

  /// A picture of one colour.
  public init(height: Int, width: Int, red: UInt8 = 0, green: UInt8 = 0, blue: UInt8 = 0) {
    var pixels = [UInt8](repeating: red, count: height * width * 3)
    if green != red || blue != red {
      for offset in stride(from: 0, to: pixels.count, by: 3) {
        pixels[offset + 1] = green
        pixels[offset + 2] = blue
      }
    }
    self.init(height: height, width: width, pixels: pixels)
  }

  /// The red, green and blue samples of a pixel.
  public subscript(row: Int, column: Int) -> SIMD3<UInt8> {
    let offset = (row * width + column) * 3
    return SIMD3(pixels[offset], pixels[offset + 1], pixels[offset + 2])
  }
}
