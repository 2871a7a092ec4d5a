extension Image {
  /// Brightness times `factor`: 0 is black, 1 the picture, more is brighter.
  public func brightnessScaled(by factor: Float) -> Image {
    blended(by: factor) { _ in 0 }
  }

  /// Contrast times `factor`: 0 is the picture's mean luma everywhere, 1 the picture.
  public func contrastScaled(by factor: Float) -> Image {
    var total = 0
    for offset in stride(from: 0, to: pixels.count, by: 3) {
      total += Int(luma(red: pixels[offset], green: pixels[offset + 1], blue: pixels[offset + 2]))
    }
    let mean = Int32(Double(total) / Double(height * width) + 0.5)
    return blended(by: factor) { _ in mean }
  }

  /// Saturation times `factor`: 0 is grey, 1 the picture.
  public func saturationScaled(by factor: Float) -> Image {
    blended(by: factor) { $0 }
  }

  /// The picture in greys: each pixel's luma in all three channels, which are those of Pillow's mode `L`.
  public func grayscale() -> Image {
    var result = self
    result.pixels.withUnsafeMutableBufferPointer { samples in
      for offset in stride(from: 0, to: samples.count, by: 3) {
        let gray = luma(red: samples[offset], green: samples[offset + 1], blue: samples[offset + 2])
        for channel in offset..<(offset + 3) { samples[channel] = UInt8(gray) }
      }
    }
    return result
  }

  /// Moves every sample away from (`factor` > 1) or towards a grey that depends on the pixel's luma.
  ///
  /// Rounds towards zero as Pillow's `Image.blend`, so that the results equal its `ImageEnhance`.
  private func blended(by factor: Float, towards gray: (Int32) -> Int32) -> Image {
    var result = self
    result.pixels.withUnsafeMutableBufferPointer { samples in
      for offset in stride(from: 0, to: samples.count, by: 3) {
        let anchor = gray(
          luma(red: samples[offset], green: samples[offset + 1], blue: samples[offset + 2]))
        for channel in offset..<(offset + 3) {
          let moved = Float(anchor) + factor * Float(Int32(samples[channel]) - anchor)
          samples[channel] = UInt8(min(max(moved, 0), 255))
        }
      }
    }
    return result
  }
}

/// ITU-R BT.601 luma of a pixel in 16-bit fixed point, rounded.
private func luma(red: UInt8, green: UInt8, blue: UInt8) -> Int32 {
  (Int32(red) * 19595 + Int32(green) * 38470 + Int32(blue) * 7471 + 0x8000) >> 16
}
