public import Backbones

/// The wiring of a stage as a picture of lines: layers from top to bottom, and beside them a lane for each map that a
/// later ganglion layer looks at.
///
/// A lane opens below its layer and ends at the last layer that sees it. An arrow into a ganglion layer joins those
/// lanes whose maps the layer sees; lanes that it only crosses are drawn unbroken.
public struct WiringDiagram: Sendable {
  /// The lines of the picture.
  public let lines: [String]

  /// A map's column beside the layers, and the layer that sees it last.
  private struct Lane {
    let source: Wiring.Source
    let end: Int
  }

  /// The picture of one stage.
  public init(_ wiring: Wiring) {
    let seen = wiring.sources
    var last: [Wiring.Source: Int] = [:]
    for (layer, sources) in seen.enumerated() {
      for source in sources ?? [] { last[source] = layer }
    }
    let labelWidth = max(5, String(seen.count).count)
    func label(_ text: String) -> String {
      String(repeating: " ", count: labelWidth - text.count) + text + "  "
    }
    var lanes: [Lane?] = []
    var lines: [String] = []
    func open(_ source: Wiring.Source) {
      guard let end = last[source] else { return }
      let free = lanes.firstIndex { $0 == nil } ?? lanes.count
      if free == lanes.count { lanes.append(nil) }
      lines.append(label("") + "├" + Self.opening(lanes, at: free))
      lanes[free] = Lane(source: source, end: end)
    }
    if last[.stageInput] != nil {
      lines.append(label("input") + "○")
      open(.stageInput)
    }
    var nodes: [(line: Int, note: String)] = []
    for (layer, sources) in seen.enumerated() {
      let wanted = Set(sources ?? [])
      let joined = lanes.indices.filter { lanes[$0].map { wanted.contains($0.source) } ?? false }
      let closing = joined.filter { lanes[$0]?.end == layer }
      let node = sources == nil ? "●" : "◆"
      nodes.append((lines.count, Self.note(sources)))
      lines.append(label("\(layer)") + node + Self.joining(lanes, joined, closing))
      for lane in closing { lanes[lane] = nil }
      while let last = lanes.last, last == nil { lanes.removeLast() }
      open(.layer(layer))
    }
    let width = (lines.map(\.count).max() ?? 0) + 2
    for node in nodes {
      let line = lines[node.line]
      lines[node.line] = line + String(repeating: " ", count: width - line.count) + node.note
    }
    self.lines = lines.map { line in
      var line = line
      while line.last == " " { line.removeLast() }
      return line
    }
  }

  /// What the marks mean.
  public static let legend =
    "● ordinary layer   ◆ ganglion layer   ○ map that enters the stage   ◀ looks at the lanes joined to it"

  private static func note(_ sources: [Wiring.Source]?) -> String {
    guard let sources else { return "ordinary" }
    if sources.isEmpty { return "ganglion, sees nothing" }
    return "ganglion, sees " + sources.map(\.description).joined(separator: ", ")
  }

  /// A line to a lane that opens, crossing those before it.
  private static func opening(_ lanes: [Lane?], at free: Int) -> String {
    lanes.indices.map { lane in
      if lane < free { return lanes[lane] == nil ? "──" : "─│" }
      if lane == free { return "─╮" }
      return lanes[lane] == nil ? "  " : " │"
    }.joined()
  }

  /// A line from the lanes that are joined, crossing the others.
  private static func joining(_ lanes: [Lane?], _ joined: [Int], _ closing: [Int]) -> String {
    guard let outermost = joined.last else {
      return lanes.map { $0 == nil ? "  " : " │" }.joined()
    }
    return lanes.indices.map { lane in
      let dash = lane == 0 ? "◀" : lane <= outermost ? "─" : " "
      guard lanes[lane] != nil else { return dash + (lane < outermost ? "─" : " ") }
      guard joined.contains(lane) else { return dash + "│" }
      let ends = closing.contains(lane)
      if lane == outermost { return dash + (ends ? "╯" : "┤") }
      return dash + (ends ? "┴" : "┼")
    }.joined()
  }
}
