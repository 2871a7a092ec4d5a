import Randomness

extension Scene {
  /// The picture of `size` by `size` pixels, and the object's mask: 1 for the pixels whose centre it covers.
  func drawn(size: Int, using random: inout CounterRandom) -> (image: Image, mask: [UInt8]) {
    var pixels = [UInt8](repeating: 0, count: size * size * 3)
    var mask = [UInt8](repeating: 0, count: size * size)
    let scale = Float(size)
    for row in 0..<size {
      for column in 0..<size {
        let point = (SIMD2(Float(column), Float(row)) + 0.5) / scale
        var color = background.color(at: point)
        for crumb in clutter {
          color += (crumb.color - color) * coverage(crumb.outline.distance(to: point) * scale)
        }
        let distance = object.distance(to: point)
        color += (fill.color(at: point) - color) * coverage(distance * scale)
        color *= 1 + ((point - 0.5) * lighting).sum()
        color += grain(random.next()) * noise

        let pixel = row * size + column
        mask[pixel] = distance < 0 ? 1 : 0
        let levels = (color * 255).rounded(.toNearestOrEven)
        for channel in 0..<3 { pixels[pixel * 3 + channel] = UInt8(min(max(levels[channel], 0), 255)) }
      }
    }
    return (Image(height: size, width: size, pixels: pixels), mask)
  }
}

/// The share of a pixel inside an edge that is `distance` pixels from its centre.
private func coverage(_ distance: Float) -> Float {
  min(max(0.5 - distance, 0), 1)
}

/// A nearly normal number per channel with variance 1, each a sum of three uniform 7-bit numbers: plain arithmetic
/// gives the same picture on every machine, which a logarithm might not.
private func grain(_ bits: UInt64) -> SIMD3<Float> {
  func channel(_ shift: UInt64) -> Float {
    let sum = (0..<3).reduce(0) { $0 + Int((bits >> (shift + UInt64($1) * 7)) & 127) }
    return (Float(sum) - 190.5) / 64
  }
  return SIMD3(channel(0), channel(21), channel(42))
}
