public import Randomness
import Foundation

/// Replaces a random rectangle of a normalised picture by noise, one standard normal draw per number.
///
/// Zhong et al., "Random Erasing Data Augmentation", AAAI 2020, algorithm 1; ranges and per-pixel noise are those of
/// timm's mode `pixel`.
public struct RandomErasing: Hashable, Sendable {
  /// The share of pictures that are changed.
  public var probability: Double
  /// The share of the picture's area that the rectangle covers.
  public var area: ClosedRange<Double>
  /// The rectangle's height divided by its width.
  public var aspectRatio: ClosedRange<Double>

  /// Erases a rectangle with a probability.
  public init(
    probability: Double, area: ClosedRange<Double> = 0.02...(1.0 / 3),
    aspectRatio: ClosedRange<Double> = 0.3...(1 / 0.3)
  ) {
    guard area.lowerBound > 0, aspectRatio.lowerBound > 0 else {
      fatalError("Random erasing needs positive areas \(area) and ratios \(aspectRatio).")
    }
    self.probability = probability
    self.area = area
    self.aspectRatio = aspectRatio
  }

  /// Changes planes `[channels, height, width]` in place.
  public func callAsFunction(
    _ planes: UnsafeMutableBufferPointer<Float>, height: Int, width: Int, using random: inout CounterRandom
  ) {
    guard let rectangle = rectangle(height: height, width: width, using: &random) else { return }
    for channel in 0..<(planes.count / (height * width)) {
      for row in rectangle.top..<rectangle.bottom {
        let start = (channel * height + row) * width
        for column in rectangle.left..<rectangle.right {
          planes[start + column] = Float(random.normal())
        }
      }
    }
  }

  /// The rectangle to erase; nil for a picture to leave alone.
  func rectangle(height: Int, width: Int, using random: inout CounterRandom) -> PixelRectangle? {
    guard random.chance(probability) else { return nil }
    let logRatios = log(aspectRatio.lowerBound)...log(aspectRatio.upperBound)
    for _ in 0..<10 {
      let target = Double(height * width) * random.uniform(in: area)
      let ratio = exp(random.uniform(in: logRatios))
      let rows = Int((target * ratio).squareRoot().rounded(.toNearestOrEven))
      let columns = Int((target / ratio).squareRoot().rounded(.toNearestOrEven))
      if rows > 0, rows < height, columns > 0, columns < width {
        let top = random.integer(in: 0..<(height - rows + 1))
        let left = random.integer(in: 0..<(width - columns + 1))
        return PixelRectangle(left: left, top: top, height: rows, width: columns)
      }
    }
    return nil
  }
}
