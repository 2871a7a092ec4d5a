extension Image {
  /// A rectangle of the picture. Where it reaches outside, the result has `fill` in all channels.
  public func cropped(to rectangle: PixelRectangle, fill: UInt8 = 0) -> Image {
    guard rectangle.width > 0, rectangle.height > 0 else {
      fatalError("Cropping to \(rectangle): the rectangle must not be empty.")
    }
    let columns = max(rectangle.left, 0)..<max(min(rectangle.right, width), max(rectangle.left, 0))
    var output = [UInt8](repeating: fill, count: rectangle.height * rectangle.width * 3)
    for row in max(rectangle.top, 0)..<max(min(rectangle.bottom, height), max(rectangle.top, 0)) {
      let start = ((row - rectangle.top) * rectangle.width + columns.lowerBound - rectangle.left) * 3
      let source = (row * width + columns.lowerBound) * 3
      output.replaceSubrange(
        start..<(start + columns.count * 3), with: pixels[source..<(source + columns.count * 3)])
    }
    return Image(height: rectangle.height, width: rectangle.width, pixels: output)
  }

  /// The mirror image, left and right exchanged.
  public func flippedHorizontally() -> Image {
    let output = [UInt8](unsafeUninitializedCapacity: pixels.count) { output, count in
      pixels.withUnsafeBufferPointer { pixels in
        for row in 0..<height {
          for column in 0..<width {
            let (to, from) = ((row * width + column) * 3, (row * width + width - 1 - column) * 3)
            for channel in 0..<3 { output[to + channel] = pixels[from + channel] }
          }
        }
      }
      count = pixels.count
    }
    return Image(height: height, width: width, pixels: output)
  }
}
