public import Backbones
import Layers
import Torch

/// What a model is made of: parameters, multiply-adds, feature maps and wiring.
public struct ModelSummary: Sendable, Encodable {
  /// A part of the network.
  public struct Part: Sendable, Encodable {
    /// The part's name.
    public let name: String
    /// Its trained scalars, or its multiply-adds.
    public let count: Int
  }

  /// One feature map.
  public struct Map: Sendable, Encodable {
    /// The stage's name.
    public let name: String
    /// The number of channels.
    public let channels: Int
    /// Pixels of the image per position.
    public let stride: Int
    /// Height and width in positions.
    public let size: [Int]
  }

  /// One layer of a stage.
  public struct Layer: Sendable, Encodable {
    /// Whether the layer looks at earlier ones.
    public let isGanglion: Bool
    /// What it sees: `input` or the index of a layer.
    public let sees: [String]
  }

  /// The published name.
  public let name: String
  /// The paper's arXiv number, if it is a published model.
  public let paper: String?
  /// The authors' ImageNet-1K top-1 accuracy in percent.
  public let top1: Double?
  /// Where the authors publish the weights.
  public let weights: String?
  /// What is known of the file of weights.
  public let weightsFile: WeightsFacts?
  /// Height and width of the image in pixels.
  public let inputSize: [Int]
  /// All trained scalars.
  public let parameters: Int
  /// All multiply-adds for one image.
  public let multiplyAdds: Int
  /// The trained scalars by the beginning of their keys.
  public let parametersByKey: [Part]
  /// The multiply-adds by region of the network, from the image to the head.
  public let multiplyAddsByRegion: [Part]
  /// The feature maps for that image size.
  public let maps: [Map]
  /// The layers of each stage; empty for a plain chain.
  public let stages: [[Layer]]
  /// How each stage's ganglion layers join what they see, in words; `nil` for a stage whose layers see nothing.
  public let aggregators: [String?]
  /// The stages as pictures.
  public let diagrams: [[String]]

  /// Builds the model and counts.
  ///
  /// - Parameters:
  ///   - architecture: the model.
  ///   - size: height and width of the image in pixels; the model's own if absent.
  public init(_ architecture: Architecture, size: (height: Int, width: Int)? = nil) {
    self.init(architecture.makeModel(device: .meta), size: size ?? architecture.input.imageSize)
  }

  /// Counts a model as it was built.
  ///
  /// - Parameters:
  ///   - model: the model, in evaluation mode.
  ///   - size: height and width of the image in pixels.
  public init(_ model: Model, size: (height: Int, width: Int)) {
    let publication = model.architecture.publication
    name = model.architecture.rawValue
    paper = publication?.paper
    top1 = publication?.top1
    weights = publication?.weights?.url
    weightsFile = publication?.weights.map(WeightsFacts.init)
    inputSize = [size.height, size.width]
    parameters = model.store.parameterCount
    parametersByKey = Self.byKey(model.store)
    let counts = model.multiplyAdds(height: size.height, width: size.width)
    multiplyAddsByRegion = counts.map { Part(name: $0.key, count: $0.value) }.sorted {
      (Self.order($0.name), $0.name) < (Self.order($1.name), $1.name)
    }
    multiplyAdds = counts.values.reduce(0, +)
    maps = model.backbone.featureInfo.map { info in
      Map(
        name: info.name, channels: info.channels, stride: info.stride,
        size: [size.height, size.width].map(info.positions))
    }
    stages = model.backbone.wiring.map { wiring in
      wiring.sources.map { Layer(isGanglion: $0 != nil, sees: ($0 ?? []).map(\.description)) }
    }
    aggregators = model.backbone.wiring.map { $0.aggregator?.description }
    diagrams = model.backbone.wiring.map { WiringDiagram($0).lines }
  }

  private static func order(_ region: String) -> Int {
    switch region {
    case "stem": 0
    case "head": 2
    default: 1
    }
  }

  /// Sums by the first component of the key, and by the number after it where whole stages are numbered.
  private static func byKey(_ store: ParameterStore) -> [Part] {
    var names: [String] = []
    var sums: [String: Int] = [:]
    for entry in store.entries where entry.kind == .parameter {
      let path = entry.key.split(separator: ".")
      let isNumbered = path.count > 3 && path[1].allSatisfy(\.isNumber)
      let name = path.prefix(isNumbered ? 2 : 1).joined(separator: ".")
      if sums[name] == nil { names.append(name) }
      sums[name, default: 0] += entry.tensor.count
    }
    return names.map { Part(name: $0, count: sums[$0] ?? 0) }
  }

  /// The summary for people.
  public var text: String {
    var lines = [name + (paper.map { "   arXiv \($0)" } ?? "")]
    lines.append(
      "\(Quantity.count(parameters)) parameters, \(Quantity.count(multiplyAdds)) multiply-adds for "
        + "\(inputSize[0])x\(inputSize[1]) pixels" + (top1.map { ", published top-1 \($0) %" } ?? ""))
    if let weights { lines.append("weights: \(weights)") }
    if let weightsFile { lines.append("  \(weightsFile.text)") }
    lines.append("")
    lines += table("region", "multiply-adds", multiplyAddsByRegion, of: multiplyAdds)
    lines.append("")
    lines += table("keys", "parameters", parametersByKey, of: parameters)
    lines.append("")
    var shapes = TextTable([("map", .left), ("channels", .right), ("size", .right), ("stride", .right)])
    for map in maps {
      shapes.append([map.name, "\(map.channels)", "\(map.size[0])x\(map.size[1])", "\(map.stride)"])
    }
    lines += shapes.lines
    if !diagrams.isEmpty { lines += ["", WiringDiagram.legend] }
    for (index, diagram) in diagrams.enumerated() {
      let ganglions = stages[index].count(where: \.isGanglion)
      lines += ["", "stage\(index + 1): \(stages[index].count) layers, \(ganglions) of them ganglion layers"]
      if let aggregator = aggregators[index] { lines.append("aggregator: \(aggregator)") }
      lines += diagram
    }
    return lines.joined(separator: "\n")
  }

  private func table(_ part: String, _ what: String, _ parts: [Part], of total: Int) -> [String] {
    var table = TextTable([(part, .left), (what, .right), ("share", .right)])
    for part in parts {
      let permille = (part.count * 1000 + total / 2) / max(1, total)
      table.append([part.name, Quantity.count(part.count), "\(permille / 10).\(permille % 10) %"])
    }
    return table.lines
  }
}
