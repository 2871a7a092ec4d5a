import Backbones

/// Which layer of a stage feeds which, as a picture in SVG: the layers in a row, and an arc from each to the ganglion
/// layers that look at it.
struct WiringPicture {
  let stage: String
  let caption: String
  let wiring: Wiring
  /// The most layers of any stage, so that the rows of several pictures have one scale.
  let longest: Int

  private static let (left, spacing, radius) = (118.0, 34.0, 7.0)

  var markup: Markup {
    let layers = wiring.sources.indices
    let arcs = layers.flatMap { layer in (wiring.sources[layer] ?? []).map { (source: $0, layer: layer) } }
    let rise = arcs.map { Self.rise($0.layer - Self.column($0.source)) }.max() ?? 0
    let base = rise + 16
    let width = Self.left + Double(longest + 1) * Self.spacing
    let height = base + 30
    let hasInput = arcs.contains { $0.source == .stageInput }
    let start = Self.x(hasInput ? -1 : 0)
    let id = "wiring-\(stage)"
    return """
      <svg class="wiring" viewBox="0 0 \(width) \(height)" style="min-width: \(width * 0.95)px; max-width: \(width)px" \
      role="img" aria-labelledby="\(id)-title \(id)-description">
      <title id="\(id)-title">\(stage): which layer feeds which</title>
      <desc id="\(id)-description">\(description)</desc>
      <text class="stage" x="0" y="\(base)">\(stage)</text><text class="tick" x="0" y="\(base + 16)">\(caption)</text>
      <line class="chain" x1="\(start)" x2="\(Self.x(wiring.sources.count - 1))" y1="\(base)" y2="\(base)"/>
      \(arcs.map { arc($0.source, $0.layer, base) })
      \(hasInput ? input(base) : .none)
      \(layers.map { node($0, base) })
      </svg>

      """
  }

  private static func x(_ column: Int) -> Double { left + (Double(column) + 1.5) * spacing }

  private static func column(_ source: Wiring.Source) -> Int {
    switch source {
    case .stageInput: -1
    case .layer(let index): index
    }
  }

  private static func rise(_ span: Int) -> Double { min(10 + 9 * Double(span), 100) }

  private var description: String {
    wiring.sources.enumerated().map { layer, sources in
      guard let sources else { return "layer \(layer) is an ordinary layer" }
      if sources.isEmpty { return "layer \(layer) is a ganglion layer that sees nothing" }
      return "layer \(layer) is a ganglion layer that sees "
        + sources.map(\.description).joined(separator: ", ")
    }.joined(separator: "; ")
  }

  private func arc(_ source: Wiring.Source, _ layer: Int, _ base: Double) -> Markup {
    let (from, to) = (Self.column(source), layer)
    let isFromGanglion = from >= 0 && wiring.sources[from] != nil
    let name = from < 0 ? "the stage's input" : "layer \(from)"
    return """
      <path class="arc\(isFromGanglion ? " far" : "")" d="M\(Self.x(from)) \(base) A\((Self.x(to) - Self.x(from)) / 2) \
      \(Self.rise(to - from)) 0 0 1 \(Self.x(to)) \(base)"><title>layer \(to) sees \(name)</title></path>
      """
  }

  private func input(_ base: Double) -> Markup {
    """
    <circle class="input" cx="\(Self.x(-1))" cy="\(base)" r="\(Self.radius - 2)"><title>the map that enters the stage\
    </title></circle><text class="tick" x="\(Self.x(-1))" y="\(base + 24)" text-anchor="middle">in</text>
    """
  }

  private func node(_ layer: Int, _ base: Double) -> Markup {
    let (x, r) = (Self.x(layer), Self.radius)
    let number: Markup =
      "<text class=\"tick\" x=\"\(x)\" y=\"\(base + 24)\" text-anchor=\"middle\">\(layer)</text>"
    guard wiring.sources[layer] != nil else {
      return """
        <circle class="ordinary" cx="\(x)" cy="\(base)" r="\(r - 2)"><title>layer \(layer): ordinary</title></circle>\(number)
        """
    }
    return """
      <path class="ganglion" d="M\(x) \(base - r - 1) L\(x + r + 1) \(base) L\(x) \(base + r + 1) L\(x - r - 1) \(base) Z">\
      <title>layer \(layer): ganglion</title></path>\(number)
      """
  }
}
