import Foundation

/// A typeface of strokes with round ends, smooth at every size.
///
/// Made for this package; it has the printable ASCII characters. Letters with marks lose them, other characters show as
/// a box.
struct StrokeFont: Sendable {
  /// A stroke as points that straight lines join.
  typealias Stroke = [SIMD2<Double>]

  /// A character's strokes and how far it moves the pen, in units of 1/14 of a capital's height.
  struct Glyph: Sendable {
    let strokes: [Stroke]
    let advance: Double
  }

  /// The units of a capital's height.
  static let capitalHeight = 14.0
  /// The one typeface there is.
  static let plain = StrokeFont()

  private let glyphs: [Character: Glyph]
  private static let spacing = 4.2
  private static let blank = Glyph(strokes: [], advance: 6)
  private static let box = Glyph(
    strokes: [[SIMD2(0, 0), SIMD2(8, 0), SIMD2(8, 14), SIMD2(0, 14), SIMD2(0, 0)]], advance: 8 + spacing)

  private init() {
    var glyphs: [Character: Glyph] = [" ": Self.blank]
    for line in glyphLines.split(separator: "\n") {
      guard let character = line.first else { continue }
      let strokes = line.dropFirst(2).split(separator: "/").map(Self.flattened)
      let right = strokes.joined().map(\.x).max() ?? 0
      glyphs[character] = Glyph(strokes: strokes, advance: right + Self.spacing)
    }
    self.glyphs = glyphs
  }

  /// The glyphs of a text, in the order of writing.
  func glyphs(of text: String) -> [Glyph] {
    text.flatMap { character -> [Glyph] in
      if let glyph = glyphs[character] { return [glyph] }
      if character.isWhitespace { return [Self.blank] }
      let plain = String(character).folding(options: .diacriticInsensitive, locale: nil)
      return plain.map { glyphs[$0] ?? Self.box }
    }
  }

  /// The units that a text is wide.
  func width(of text: String) -> Double {
    max(0, glyphs(of: text).reduce(0) { $0 + $1.advance } - Self.spacing)
  }

  /// The text, or its beginning and an ellipsis if it is wider than `limit` units.
  func fitted(_ text: String, to limit: Double) -> String {
    if width(of: text) <= limit { return text }
    var kept = text
    while !kept.isEmpty, width(of: kept + "…") > limit { kept.removeLast() }
    while kept.last?.isWhitespace == true { kept.removeLast() }
    return kept + "…"
  }

  /// The points of a stroke, curves taken in eight straight steps.
  private static func flattened(_ text: Substring) -> Stroke {
    var stroke: Stroke = []
    var control: SIMD2<Double>?
    for token in text.split(separator: " ") {
      let isControl = token.first == "~"
      let numbers = (isControl ? token.dropFirst() : token).split(separator: ",").compactMap { Double($0) }
      let point = SIMD2(numbers[0], numbers[1])
      if isControl {
        control = point
      } else if let middle = control, let start = stroke.last {
        for step in 1...8 {
          let t = Double(step) / 8
          let ends: SIMD2<Double> = (1 - t) * (1 - t) * start + t * t * point
          stroke.append(ends + 2 * t * (1 - t) * middle)
        }
        control = nil
      } else {
        stroke.append(point)
      }
    }
    return stroke
  }
}
