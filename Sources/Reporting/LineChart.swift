import Foundation

/// Curves over the course of a run, as a picture in SVG.
struct LineChart {
  /// How a curve is drawn.
  enum Style: String {
    /// A pale line of raw values.
    case raw
    /// A line.
    case line
    /// A line through dots, each with its value.
    case dots
  }

  /// One curve.
  struct Series {
    let name: String
    let style: Style
    /// The number of its colour, from 1.
    let color: Int
    let points: [(x: Double, y: Double)]
  }

  /// What the picture's identifiers begin with.
  let id: String
  let title: String
  let xName: String
  var ceiling: Double?
  /// A value for people.
  let format: (Double) -> String
  let series: [Series]
  /// A point that is worth a ring and its value.
  var marked: (x: Double, y: Double)?

  private static let (width, height) = (460.0, 250.0)
  private static let (left, right, top, bottom) = (50.0, 14.0, 14.0, 34.0)
  /// More points than this would be finer than the picture.
  private static let pointLimit = 900

  /// The picture with its title and legend; nothing if there is nothing to draw.
  var markup: Markup {
    let drawn = series.map { series in
      Series(
        name: series.name, style: series.style, color: series.color,
        points: series.points.filter { $0.x.isFinite && $0.y.isFinite })
    }.filter { !$0.points.isEmpty }
    let values = drawn.flatMap(\.points)
    guard let least = values.map(\.y).min(), let most = values.map(\.y).max(),
      let end = values.map(\.x).max()
    else { return .none }
    let x = Axis(0, max(end, 1e-9), intervals: end < 6 ? max(1, Int(end)) : 6, isTight: true)
    let y = Axis(
      least >= 0 && least < 0.5 * most ? 0 : least, min(most, ceiling ?? most), intervals: 5, isTight: false)
    let plane = Plane(x: x, y: y)
    return """
      <figure class="chart">
      <figcaption><span class="title">\(title)</span>\(drawn.count > 1 ? legend(drawn) : .none)</figcaption>
      <svg viewBox="0 0 \(Self.width) \(Self.height)" role="img" aria-labelledby="\(id)-title \(id)-description">
      <title id="\(id)-title">\(title)</title>
      <desc id="\(id)-description">\(description(drawn))</desc>
      \(grid(plane))
      \(drawn.map { curve($0, plane) })
      \(mark(plane))
      </svg>
      </figure>

      """
  }

  private func description(_ drawn: [Series]) -> String {
    drawn.map { series in
      let (first, last) = (series.points.first, series.points.last)
      return "\(series.name): from \(first.map { format($0.y) } ?? "") to \(last.map { format($0.y) } ?? "")"
    }.joined(separator: "; ")
  }

  private func legend(_ drawn: [Series]) -> Markup {
    "<span class=\"legend\">\(drawn.map { "<span class=\"key c\($0.color) \($0.style.rawValue)\">\($0.name)</span>" as Markup })</span>"
  }

  private func grid(_ plane: Plane) -> Markup {
    let rows = plane.y.ticks.map { tick -> Markup in
      let y = plane.vertical(tick)
      return """
        <line class="grid" x1="\(Self.left)" x2="\(Self.width - Self.right)" y1="\(y)" y2="\(y)"/>\
        <text class="tick" x="\(Self.left - 7)" y="\(y + 4)" text-anchor="end">\(plane.y.text(tick))</text>
        """
    }
    let columns = plane.x.ticks.map { tick -> Markup in
      """
      <text class="tick" x="\(plane.horizontal(tick))" y="\(Self.height - Self.bottom + 17)" \
      text-anchor="middle">\(plane.x.text(tick))</text>
      """
    }
    return """
      \(rows)\(columns)<text class="tick" x="\(Self.width - Self.right)" y="\(Self.height - 3)" \
      text-anchor="end">\(xName)</text>
      """
  }

  private func curve(_ series: Series, _ plane: Plane) -> Markup {
    let points = Self.thinned(series.points)
    let path = points.enumerated().map { index, point -> Markup in
      "\(index == 0 ? "M" : "L")\(plane.horizontal(point.x)) \(plane.vertical(point.y))"
    }
    let line: Markup = "<path class=\"c\(series.color) \(series.style.rawValue)\" d=\"\(path)\"/>"
    guard series.style == .dots else { return line }
    let radius = series.points.count <= 40 ? 3.0 : 1.5
    let dots = points.map { point -> Markup in
      """
      <circle class="c\(series.color)" cx="\(plane.horizontal(point.x))" cy="\(plane.vertical(point.y))" \
      r="\(radius)"><title>\(series.name) \(format(point.y)) at \(xName) \(plane.x.exact(point.x))</title></circle>
      """
    }
    return "\(line)\(dots)"
  }

  private func mark(_ plane: Plane) -> Markup {
    guard let marked, marked.x.isFinite, marked.y.isFinite else { return .none }
    let (x, y) = (plane.horizontal(marked.x), plane.vertical(marked.y))
    let isLate = x > 0.8 * Self.width
    return """
      <circle class="ring" cx="\(x)" cy="\(y)" r="6"/><text class="mark" x="\(isLate ? x + 4 : x)" y="\(y + 22)" \
      text-anchor="\(isLate ? "end" : "middle")">\(format(marked.y))</text>
      """
  }

  /// The smallest and the largest of each stretch, so that no peak is lost.
  private static func thinned(_ points: [(x: Double, y: Double)]) -> [(x: Double, y: Double)] {
    guard points.count > pointLimit else { return points }
    let stretch = (2 * points.count + pointLimit - 1) / pointLimit
    return stride(from: 0, to: points.count, by: stretch).flatMap { start in
      let part = points[start..<min(start + stretch, points.count)]
      let ends = [part.min { $0.y < $1.y }, part.max { $0.y < $1.y }].compactMap(\.self)
      return ends.sorted { $0.x < $1.x }
    }
  }

  /// Where values are in the picture.
  private struct Plane {
    let x: Axis
    let y: Axis

    func horizontal(_ value: Double) -> Double {
      LineChart.left + x.position(value) * (LineChart.width - LineChart.left - LineChart.right)
    }

    func vertical(_ value: Double) -> Double {
      let span = LineChart.height - LineChart.top - LineChart.bottom
      return LineChart.height - LineChart.bottom - min(max(y.position(value), 0), 1) * span
    }
  }
}

/// A scale with marks at round numbers.
struct Axis {
  let start: Double
  let end: Double
  let step: Double

  /// A scale over some values.
  ///
  /// - Parameters:
  ///   - low: the smallest value.
  ///   - high: the largest value.
  ///   - intervals: the most intervals between marks.
  ///   - isTight: whether the scale ends at the values themselves and not at marks.
  init(_ low: Double, _ high: Double, intervals: Int, isTight: Bool) {
    let span = high > low ? high - low : max(abs(low), 1)
    let rough = span / Double(intervals)
    let unit = pow(10, floor(log10(rough)))
    let step = ([1, 2, 5, 10].first { $0 * unit >= rough * 0.999 } ?? 10) * unit
    self.step = step
    start = isTight ? low : floor(low / step + 1e-9) * step
    let last = isTight ? low + span : ceil((low + span) / step - 1e-9) * step
    end = last > start ? last : start + step
  }

  var ticks: [Double] {
    let first = Int((start / step).rounded(.up)), last = Int((end / step + 1e-6).rounded(.down))
    return first <= last ? (first...last).map { Double($0) * step } : []
  }

  func position(_ value: Double) -> Double { (value - start) / (end - start) }
  func text(_ tick: Double) -> String { Format.tick(tick, step: step) }
  func exact(_ value: Double) -> String {
    value == value.rounded() ? String(format: "%.0f", value) : String(format: "%.2f", value)
  }
}

/// A running mean that forgets over about `window` values and starts unbiased.
func smoothed(_ points: [(x: Double, y: Double)], window: Int) -> [(x: Double, y: Double)] {
  let keep = 1 - 1 / Double(max(1, window))
  var (sum, weight) = (0.0, 0.0)
  return points.map { point in
    sum = keep * sum + point.y
    weight = keep * weight + 1
    return (point.x, sum / weight)
  }
}
