import Foundation

extension Tensor: CustomStringConvertible {
  /// The shape, the type and the elements in nested brackets, columns lined up; long dimensions show their first and
  /// last three.
  public var description: String {
    if isPoisoned { return "Tensor(poisoned)" }
    let header = "Tensor\(shape) \(dtype)" + (device == .cpu ? "" : " \(device)")
    if count == 0 { return header }
    return withoutGradients {
      let shown = detached().preview().to(device: .cpu)
      let grid = ElementGrid(
        sizes: shown.shape, isCut: shape.map(Self.isLong), elements: shown.elementTexts())
      return header + "\n" + grid.text(0, 0)
    }
  }

  private static let edge = 3

  private static func isLong(_ size: Int) -> Bool { size > 2 * edge + 2 }

  /// The elements that are shown.
  private func preview() -> Tensor {
    var result = self
    for dimension in 0..<rank where Self.isLong(size(dimension)) {
      let size = result.size(dimension)
      result = concatenate(
        [
          result.narrow(dimension, from: 0, length: Self.edge),
          result.narrow(dimension, from: size - Self.edge, length: Self.edge),
        ], along: dimension)
    }
    return result
  }

  /// The elements in row-major order, padded to one width.
  private func elementTexts() -> [String] {
    let texts: [String] =
      switch dtype {
      case .bool: array(Bool.self).map { "\($0)" }
      case .float16, .bfloat16, .float32, .float64: Self.decimals(array(Double.self))
      default: array(Int.self).map { "\($0)" }
      }
    let width = texts.map(\.count).max() ?? 0
    return texts.map { String(repeating: " ", count: width - $0.count) + $0 }
  }

  /// As few decimals as show four places of every number, or powers of ten where those would not do.
  private static func decimals(_ values: [Double]) -> [String] {
    let sizes = values.filter { $0.isFinite && $0 != 0 }.map(\.magnitude)
    let isScientific = (sizes.max() ?? 1) >= 1e8 || (sizes.min() ?? 1) < 1e-4
    let (pattern, most) = isScientific ? ("e", 4) : ("f", 4)
    var texts = values.map { String(format: "%.\(most)\(pattern)", $0) }
    for places in stride(from: most - 1, through: 1, by: -1) {
      let shorter = values.map { String(format: "%.\(places)\(pattern)", $0) }
      guard zip(shorter, texts).allSatisfy({ Double($0) == Double($1) || $0 == $1 }) else { break }
      texts = shorter
    }
    return texts
  }
}

/// The texts of the elements shown of a tensor, laid out by its dimensions.
private struct ElementGrid {
  let sizes: [Int]
  let isCut: [Bool]
  let elements: [String]

  /// The brackets of the part that starts at element `start` and runs over the dimensions from `dimension` on.
  func text(_ dimension: Int, _ start: Int) -> String {
    if dimension == sizes.count { return elements[start] }
    let stride = sizes[(dimension + 1)...].reduce(1, *)
    var parts = (0..<sizes[dimension]).map { text(dimension + 1, start + $0 * stride) }
    if isCut[dimension] { parts.insert("…", at: parts.count / 2) }
    let depth = sizes.count - dimension
    let gap =
      depth == 1
      ? " " : String(repeating: "\n", count: depth - 1) + String(repeating: " ", count: dimension + 1)
    return "[" + parts.joined(separator: "," + gap) + "]"
  }
}
