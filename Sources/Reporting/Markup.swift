import Foundation

/// A piece of HTML that is also well-formed XML.
///
/// What a literal holds is markup; what is interpolated into it is text and is escaped, unless it is markup itself. So
/// no name, path or recipe can end up as markup by being forgotten.
struct Markup: ExpressibleByStringInterpolation {
  var source: String

  init(stringLiteral value: String) { source = value }
  init(stringInterpolation: StringInterpolation) { source = stringInterpolation.source }

  static let none: Markup = ""

  static func + (first: Markup, second: Markup) -> Markup { "\(first)\(second)" }

  struct StringInterpolation: StringInterpolationProtocol {
    fileprivate var source = ""

    init(literalCapacity: Int, interpolationCount: Int) { source.reserveCapacity(literalCapacity) }

    mutating func appendLiteral(_ literal: String) { source += literal }
    mutating func appendInterpolation(_ text: String) { source += escaped(text) }
    mutating func appendInterpolation(_ number: Int) { source += "\(number)" }
    mutating func appendInterpolation(_ markup: Markup) { source += markup.source }
    mutating func appendInterpolation(_ markup: Markup?) { source += markup?.source ?? "" }
    mutating func appendInterpolation(_ pieces: [Markup]) { for piece in pieces { source += piece.source } }

    /// A length or position in a picture, to a hundredth.
    mutating func appendInterpolation(_ length: Double) {
      let hundredths = length.isFinite ? (length * 100).rounded() / 100 : 0
      source += hundredths == hundredths.rounded() ? "\(Int(hundredths))" : "\(hundredths)"
    }
  }
}

/// The text with the characters that mean something in HTML written as references, and those that XML forbids replaced.
private func escaped(_ text: String) -> String {
  var result = ""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "&": result += "&amp;"
    case "<": result += "&lt;"
    case ">": result += "&gt;"
    case "\"": result += "&quot;"
    case "'": result += "&#39;"
    case "\t", "\n": result.unicodeScalars.append(scalar)
    case "\r": result += "&#13;"
    case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}", "\u{FFFE}", "\u{FFFF}": result += "\u{FFFD}"
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result
}

/// Numbers as the report writes them.
enum Format {
  static func percent(_ value: Double) -> String { String(format: "%.2f %%", value) }
  static func share(_ value: Double) -> String { String(format: "%.1f %%", 100 * value) }
  static func loss(_ value: Double) -> String { String(format: "%.4f", value) }

  /// A time in its two largest units.
  static func duration(_ seconds: Double) -> String {
    if seconds < 10 { return String(format: "%.1f s", seconds) }
    let whole = Int(min(seconds.rounded(), 1e9))
    if whole < 60 { return "\(whole) s" }
    if whole < 3600 { return "\(whole / 60) min \(whole % 60) s" }
    return "\(whole / 3600) h \(whole / 60 % 60) min"
  }

  /// A whole number with thin spaces between groups of three digits.
  static func count(_ value: Int) -> String {
    let digits = Array(String(value.magnitude))
    if digits.count < 5 { return "\(value)" }
    var result = value < 0 ? "-" : ""
    for (index, digit) in digits.enumerated() {
      if index > 0 && (digits.count - index).isMultiple(of: 3) { result += "\u{202F}" }
      result.append(digit)
    }
    return result
  }

  /// A number on an axis, in as few digits as the distance to the next one needs.
  static func tick(_ value: Double, step: Double) -> String {
    let digits = max(0, Int((-log10(step)).rounded(.up)))
    if digits > 4 { return String(format: "%.0e", value) }
    return String(format: "%.\(digits)f", value)
  }
}
