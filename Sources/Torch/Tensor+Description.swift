import Foundation

extension Tensor: CustomStringConvertible {
  /// The shape, the type and the elements in nested brackets; long dimensions show their first and last three.
  public var description: String {
    if isPoisoned { return "Tensor(poisoned)" }
    let header = "Tensor\(shape) \(dtype)" + (device == .cpu ? "" : " \(device)")
    if count == 0 { return header }
    let source = withoutGradients { detached().to(device: .cpu) }
    let format = ElementFormat(withoutGradients { source.preview().to(.float64).array(Double.self) }, dtype)
    return header + "\n" + source.lines(format, indent: 0)
  }

  private static let edge = 3

  private func isLong(_ size: Int) -> Bool { size > 2 * Self.edge + 2 }

  /// The elements that are shown.
  private func preview() -> Tensor {
    var result = self
    for dimension in 0..<rank where isLong(size(dimension)) {
      let size = result.size(dimension)
      result = concatenate(
        [
          result.narrow(dimension, from: 0, length: Self.edge),
          result.narrow(dimension, from: size - Self.edge, length: Self.edge),
        ], along: dimension)
    }
    return result
  }

  private func lines(_ format: ElementFormat, indent: Int) -> String {
    if rank == 0 { return format.text(to(.float64).item()) }
    let size = self.size(0)
    let shown = isLong(size) ? Array(0..<Self.edge) + Array(size - Self.edge..<size) : Array(0..<size)
    var parts = shown.map { select(0, $0).lines(format, indent: indent + 1) }
    if isLong(size) { parts.insert("…", at: Self.edge) }
    if rank == 1 { return "[" + parts.joined(separator: ", ") + "]" }
    let gap = String(repeating: "\n", count: rank - 1) + String(repeating: " ", count: indent + 1)
    return "[" + parts.joined(separator: "," + gap) + "]"
  }
}

/// How the elements of one tensor are written so that columns line up.
private struct ElementFormat {
  private let pattern: String
  private let dtype: DType
  private let width: Int

  init(_ values: [Double], _ dtype: DType) {
    self.dtype = dtype
    let finite = values.filter(\.isFinite)
    let largest = finite.map(\.magnitude).max() ?? 0
    let smallest = finite.map(\.magnitude).filter { $0 > 0 }.min() ?? 1
    if !dtype.isFloatingPoint {
      pattern = "%.0f"
    } else if largest >= 1e5 || smallest < 1e-4 {
      pattern = "%.4e"
    } else {
      pattern = "%.4f"
    }
    width = values.map { [pattern] in String(format: pattern, $0).count }.max() ?? 0
  }

  func text(_ value: Double) -> String {
    if dtype == .bool { return value == 0 ? "false" : "true" }
    let text = String(format: pattern, value)
    return String(repeating: " ", count: max(0, width - text.count)) + text
  }
}
