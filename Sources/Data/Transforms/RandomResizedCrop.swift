public import Randomness
import Foundation

/// Cuts a random rectangle and resizes it to exact sizes.
///
/// Szegedy et al., "Going deeper with convolutions", CVPR 2015, section 6; the sampling is that of torchvision's
/// `RandomResizedCrop`: ten tries of an area and a log-uniform aspect ratio, then the largest centred rectangle of an
/// allowed ratio.
public struct RandomResizedCrop: Transform, Hashable {
  /// Rows of the result.
  public var height: Int
  /// Columns of the result.
  public var width: Int
  /// The share of the picture's area that the rectangle covers.
  public var area: ClosedRange<Double>
  /// The rectangle's width divided by its height.
  public var aspectRatio: ClosedRange<Double>
  /// The filters to choose from, with equal chance.
  public var filters: [ResizeFilter]

  /// Cuts `area` of the picture at `aspectRatio`, and resizes to `height` by `width` with one of `filters`.
  public init(
    height: Int, width: Int, area: ClosedRange<Double> = 0.08...1,
    aspectRatio: ClosedRange<Double> = (3.0 / 4)...(4.0 / 3), filters: [ResizeFilter] = [.bicubic]
  ) {
    guard area.lowerBound > 0, aspectRatio.lowerBound > 0, !filters.isEmpty else {
      fatalError("A random crop needs positive areas \(area), ratios \(aspectRatio) and a filter.")
    }
    self.height = height
    self.width = width
    self.area = area
    self.aspectRatio = aspectRatio
    self.filters = filters
  }

  /// A random part of the picture, resized.
  public func callAsFunction(_ image: Image, using random: inout CounterRandom) -> Image {
    let rectangle = rectangle(height: image.height, width: image.width, using: &random)
    let filter = filters.count == 1 ? filters[0] : filters[random.integer(in: 0..<filters.count)]
    return image.cropped(to: rectangle).resized(height: height, width: width, filter: filter)
  }

  /// A random rectangle of a picture of the given size.
  func rectangle(height: Int, width: Int, using random: inout CounterRandom) -> PixelRectangle {
    let logRatios = log(aspectRatio.lowerBound)...log(aspectRatio.upperBound)
    for _ in 0..<10 {
      let target = Double(height * width) * random.uniform(in: area)
      let ratio = exp(random.uniform(in: logRatios))
      let columns = Int((target * ratio).squareRoot().rounded(.toNearestOrEven))
      let rows = Int((target / ratio).squareRoot().rounded(.toNearestOrEven))
      if columns > 0, columns <= width, rows > 0, rows <= height {
        let top = random.integer(in: 0..<(height - rows + 1))
        let left = random.integer(in: 0..<(width - columns + 1))
        return PixelRectangle(left: left, top: top, height: rows, width: columns)
      }
    }
    return largestCentered(height: height, width: width)
  }

  private func largestCentered(height: Int, width: Int) -> PixelRectangle {
    let ratio = Double(width) / Double(height)
    var (rows, columns) = (height, width)
    if ratio < aspectRatio.lowerBound {
      rows = max(1, Int((Double(width) / aspectRatio.lowerBound).rounded(.toNearestOrEven)))
    } else if ratio > aspectRatio.upperBound {
      columns = max(1, Int((Double(height) * aspectRatio.upperBound).rounded(.toNearestOrEven)))
    }
    return PixelRectangle(
      left: (width - columns) / 2, top: (height - rows) / 2, height: rows, width: columns)
  }
}
