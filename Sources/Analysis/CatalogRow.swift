public import Backbones
import Foundation
import Layers
import Torch

/// One model of the catalog in figures.
public struct CatalogRow: Sendable, Encodable {
  /// The published name.
  public let name: String
  /// Trained scalars.
  public let parameters: Int
  /// The bytes of all its tensors, trained or kept, in float32.
  public let bytes: Int
  /// Multiply-adds for one image of `inputSize`.
  public let multiplyAdds: Int
  /// Height and width of the image in pixels.
  public let inputSize: [Int]
  /// The share of the resized image that the central crop keeps.
  public let cropFraction: Double
  /// The filter that images are resized by.
  public let interpolation: String
  /// The mean of each channel in 0...1, subtracted from the image.
  public let mean: [Double]
  /// The standard deviation of each channel in 0...1, which the image is divided by.
  public let deviation: [Double]
  /// The authors' ImageNet-1K top-1 accuracy in percent.
  public let top1: Double?
  /// The paper's arXiv number.
  public let paper: String?
  /// Where the authors publish the weights.
  public let weights: String?
  /// What is known of the file of weights.
  public let weightsFile: WeightsFacts?

  /// Builds the model without elements and counts.
  public init(_ architecture: Architecture) {
    let model = architecture.makeModel(device: .meta)
    let preprocessing = architecture.input
    let size = preprocessing.imageSize
    name = architecture.rawValue
    parameters = model.store.parameterCount
    bytes = model.store.entries.reduce(0) { $0 + $1.tensor.byteCount }
    multiplyAdds = model.multiplyAdds(height: size.height, width: size.width).values.reduce(0, +)
    inputSize = [size.height, size.width]
    cropFraction = preprocessing.cropFraction
    interpolation = preprocessing.interpolation.rawValue
    (mean, deviation) = (preprocessing.mean, preprocessing.deviation)
    top1 = architecture.publication?.top1
    paper = architecture.publication?.paper
    weights = architecture.publication?.weights?.url
    weightsFile = architecture.publication?.weights.map(WeightsFacts.init)
  }

  /// What rows can be ordered by.
  public enum Order: String, CaseIterable, Sendable {
    /// The name, from A to Z.
    case name
    /// The parameters, fewest first.
    case parameters
    /// The multiply-adds, fewest first.
    case multiplyAdds = "multiply-adds"
    /// The authors' accuracy, highest first; models without one last.
    case top1
  }

  /// Rows in an order; equal ones by name.
  public static func sorted(_ rows: [CatalogRow], by order: Order) -> [CatalogRow] {
    rows.sorted { a, b in
      switch order {
      case .name: a.name < b.name
      case .parameters: (a.parameters, a.name) < (b.parameters, b.name)
      case .multiplyAdds: (a.multiplyAdds, a.name) < (b.multiplyAdds, b.name)
      case .top1: (-(a.top1 ?? 0), a.name) < (-(b.top1 ?? 0), b.name)
      }
    }
  }

  /// Several rows for people.
  public static func table(_ rows: [CatalogRow]) -> String {
    var table = TextTable([
      ("model", .left), ("parameters", .right), ("size", .right), ("multiply-adds", .right),
      ("input", .right), ("crop", .right), ("published top-1", .right), ("arXiv", .left),
    ])
    for row in rows {
      table.append([
        row.name, Quantity.count(row.parameters), String(format: "%.1f MB", Double(row.bytes) / 1e6),
        Quantity.count(row.multiplyAdds), "\(row.inputSize[0])x\(row.inputSize[1])", "\(row.cropFraction)",
        row.top1.map { String(format: "%.1f %%", $0) } ?? "-", row.paper ?? "-",
      ])
    }
    return table.lines.joined(separator: "\n")
  }
}
