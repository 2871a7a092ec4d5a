/// Red, green and blue, 0...255.
typealias Color = SIMD3<UInt8>

extension Image {
  /// Draws a line of text; what lies outside of the picture is cut off.
  ///
  /// - Parameters:
  ///   - text: the text.
  ///   - left: where the first character begins, in pixels.
  ///   - top: where capitals begin, in pixels.
  ///   - height: the height of capitals, in pixels.
  ///   - weight: the width of the strokes as a share of `height`.
  ///   - color: the colour.
  mutating func draw(
    _ text: String, left: Double, top: Double, height: Double, weight: Double = 0.11, color: Color
  ) {
    let unit = height / StrokeFont.capitalHeight
    let radius = max(0.5, weight * height / 2)
    var pen = SIMD2(left, top)
    for glyph in StrokeFont.plain.glyphs(of: text) {
      draw(glyph.strokes.map { stroke in stroke.map { pen + $0 * unit } }, radius: radius, color: color)
      pen.x += glyph.advance * unit
    }
  }

  /// Fills a bar with round ends; what lies outside of the picture is cut off.
  ///
  /// - Parameters:
  ///   - left: its left end, in pixels.
  ///   - top: its upper edge.
  ///   - width: its length, ends included; less than `height` counts as `height`.
  ///   - height: its height.
  ///   - color: the colour.
  mutating func drawBar(left: Double, top: Double, width: Double, height: Double, color: Color) {
    let radius = height / 2
    let start = SIMD2(left + radius, top + radius)
    draw([[start, start + SIMD2(max(0, width - height), 0)]], radius: radius, color: color)
  }

  /// Draws round strokes as one shape, so that crossings are no darker than the rest.
  private mutating func draw(_ strokes: [StrokeFont.Stroke], radius: Double, color: Color) {
    let points = strokes.joined()
    guard let left = points.map(\.x).min(), let right = points.map(\.x).max(),
      let top = points.map(\.y).min(), let bottom = points.map(\.y).max()
    else { return }
    let columns = clamped(left - radius - 1, right + radius + 2, to: width)
    let rows = clamped(top - radius - 1, bottom + radius + 2, to: height)
    for row in rows {
      for column in columns {
        let center = SIMD2(Double(column) + 0.5, Double(row) + 0.5)
        let distance = strokes.reduce(Double.infinity) { min($0, $1.distance(to: center)) }
        blend(color, row, column, share: min(max(radius + 0.5 - distance, 0), 1))
      }
    }
  }

  private func clamped(_ start: Double, _ end: Double, to count: Int) -> Range<Int> {
    let first = Int(max(0, start))
    return first..<max(first, min(count, Int(max(0, end))))
  }

  private mutating func blend(_ color: Color, _ row: Int, _ column: Int, share: Double) {
    guard share > 0 else { return }
    let offset = (row * width + column) * 3
    for channel in 0..<3 {
      let mixed = Double(pixels[offset + channel]) * (1 - share) + Double(color[channel]) * share
      pixels[offset + channel] = UInt8(mixed.rounded())
    }
  }
}

extension StrokeFont.Stroke {
  /// The distance of a point from the nearest of the stroke's lines.
  fileprivate func distance(to point: SIMD2<Double>) -> Double {
    var nearest = Double.infinity
    for index in indices.dropFirst() {
      let (start, along) = (self[index - 1], self[index] - self[index - 1])
      let length = (along * along).sum()
      let share = length > 0 ? Swift.min(Swift.max((along * (point - start)).sum() / length, 0), 1) : 0
      let gap: SIMD2<Double> = point - start - along * share
      nearest = Swift.min(nearest, (gap * gap).sum())
    }
    return nearest.squareRoot()
  }
}
