public import Backbones
import Foundation
import Layers

/// One model of the catalog in figures.
public struct CatalogRow: Sendable, Encodable {
  /// The published name.
  public let name: String
  /// Trained scalars.
  public let parameters: Int
  /// Multiply-adds for one image of `inputSize`.
  public let multiplyAdds: Int
  /// Height and width of the image in pixels.
  public let inputSize: [Int]
  /// The share of the resized image that the central crop keeps.
  public let cropFraction: Double
  /// The authors' ImageNet-1K top-1 accuracy in percent.
  public let top1: Double?
  /// The paper's arXiv number.
  public let paper: String?
  /// Where the authors publish the weights.
  public let weights: String?

  /// Builds the model and counts.
  public init(_ architecture: Architecture) {
    let model = architecture.makeModel()
    let preprocessing = architecture.input
    let size = preprocessing.imageSize
    name = architecture.rawValue
    parameters = model.store.parameterCount
    multiplyAdds = model.multiplyAdds(height: size.height, width: size.width).values.reduce(0, +)
    inputSize = [size.height, size.width]
    cropFraction = preprocessing.cropFraction
    top1 = architecture.publication?.top1
    paper = architecture.publication?.paper
    weights = architecture.publication?.weights
  }

  /// Several rows for people.
  public static func table(_ rows: [CatalogRow]) -> String {
    var table = TextTable([
      ("model", .left), ("parameters", .right), ("multiply-adds", .right), ("input", .right),
      ("crop", .right),
      ("published top-1", .right), ("arXiv", .left),
    ])
    for row in rows {
      table.append([
        row.name, Quantity.count(row.parameters), Quantity.count(row.multiplyAdds),
        "\(row.inputSize[0])x\(row.inputSize[1])", "\(row.cropFraction)",
        row.top1.map { String(format: "%.1f %%", $0) } ?? "-", row.paper ?? "-",
      ])
    }
    return table.lines.joined(separator: "\n")
  }
}
