/// Turns 8-bit pixels into the numbers that a network reads: (sample / 255 - mean) / deviation.
public struct Normalization: Hashable, Sendable {
  /// The means of red, green and blue, on the scale of 0 to 1.
  public var mean: SIMD3<Float>
  /// The standard deviations of red, green and blue, on the scale of 0 to 1.
  public var standardDeviation: SIMD3<Float>
  /// The number of planes: 3 for colours, 1 for the first channel alone, which suits pictures in greys.
  public private(set) var channels = 3

  /// Normalises by a mean and a positive standard deviation per channel.
  public init(mean: SIMD3<Float>, standardDeviation: SIMD3<Float>) {
    guard standardDeviation.min() > 0 else {
      fatalError("Standard deviations are positive; got \(standardDeviation).")
    }
    self.mean = mean
    self.standardDeviation = standardDeviation
  }

  /// The same for pictures in greys, as one plane: mean and deviation are averaged over the channels.
  public var grayscale: Normalization {
    var result = Normalization(
      mean: SIMD3(repeating: mean.sum() / 3), standardDeviation: SIMD3(repeating: standardDeviation.sum() / 3)
    )
    result.channels = 1
    return result
  }

  /// The statistics of ImageNet's training set, with which the published backbones were trained.
  public static let imageNet = Normalization(
    mean: SIMD3(0.485, 0.456, 0.406), standardDeviation: SIMD3(0.229, 0.224, 0.225))

  /// From 0...255 to -1...1.
  public static let symmetric = Normalization(
    mean: SIMD3(repeating: 0.5), standardDeviation: SIMD3(repeating: 0.5))

  /// The planes `[channels, height, width]` of a picture.
  public func callAsFunction(_ image: Image) -> [Float] {
    let size = channels * image.height * image.width
    return [Float](unsafeUninitializedCapacity: size) { planes, count in
      write(image, to: planes)
      count = size
    }
  }

  /// Writes the planes `[channels, height, width]` of a picture; `planes` has exactly that many elements.
  func write(_ image: Image, to planes: UnsafeMutableBufferPointer<Float>) {
    let area = image.height * image.width
    image.pixels.withUnsafeBufferPointer { samples in
      for channel in 0..<channels {
        let (mean, deviation) = (mean[channel], standardDeviation[channel])
        for pixel in 0..<area {
          planes[channel * area + pixel] = (Float(samples[pixel * 3 + channel]) / 255 - mean) / deviation
        }
      }
    }
  }
}
