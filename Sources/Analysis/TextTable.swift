/// Rows of text in aligned columns.
public struct TextTable: Sendable {
  /// Where a column's text stands.
  public enum Alignment: Sendable {
    /// At the column's left edge.
    case left
    /// At the column's right edge, for numbers.
    case right
  }

  private let alignments: [Alignment]
  private let minimum: [Int]
  private var rows: [[String]] = []

  /// A table of columns.
  ///
  /// - Parameters:
  ///   - columns: the titles and alignments.
  ///   - widths: the least width of each column, for rows that are printed as they come; none if absent.
  public init(_ columns: [(title: String, alignment: Alignment)], widths: [Int]? = nil) {
    alignments = columns.map(\.alignment)
    minimum = widths ?? columns.map { _ in 0 }
    rows = [columns.map(\.title)]
  }

  /// Appends a row.
  public mutating func append(_ cells: [String]) { rows.append(cells) }

  /// The rows, titles first, without blanks at their ends.
  public var lines: [String] {
    let widths = alignments.indices.map { column in
      rows.reduce(minimum[column]) { max($0, $1[column].count) }
    }
    return rows.map { row in
      let cells = row.enumerated().map { column, cell in
        let blanks = String(repeating: " ", count: widths[column] - cell.count)
        return alignments[column] == .left ? cell + blanks : blanks + cell
      }
      var line = cells.joined(separator: "  ")
      while line.last == " " { line.removeLast() }
      return line
    }
  }
}
