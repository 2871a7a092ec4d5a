import Testing

@testable import Reporting

@Suite struct MarkupTests {
  @Test(arguments: [
    ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
    ("\"><img src=x onerror='f()'>", "&quot;&gt;&lt;img src=x onerror=&#39;f()&#39;&gt;"),
    ("R&D", "R&amp;D"), ("&amp;", "&amp;amp;"), ("naïve 🐈", "naïve 🐈"),
    ("a\u{0}b\u{B}c\u{FFFE}", "a\u{FFFD}b\u{FFFD}c\u{FFFD}"), ("]]>", "]]&gt;"),
  ])
  func textIsEscaped(text: String, expected: String) {
    let markup: Markup = "<b title=\"\(text)\">\(text)</b>"
    #expect(markup.source == "<b title=\"\(expected)\">\(expected)</b>")
  }

  @Test func markupAndNumbersAreNot() {
    let inner: Markup = "<i>\(3)</i>"
    let markup: Markup = "\(inner)\([inner, inner]) \(1.239) \(2.0) \(Double.nan)"
    #expect(markup.source == "<i>3</i><i>3</i><i>3</i> 1.24 2 0")
  }

  @Test(arguments: [
    (3.14, "3.1 s"), (59.4, "59 s"), (60, "1 min 0 s"), (247.2, "4 min 7 s"), (3599.7, "1 h 0 min"),
    (90_061, "25 h 1 min"),
  ])
  func durations(seconds: Double, expected: String) { #expect(Format.duration(seconds) == expected) }

  @Test(arguments: [
    (999, "999"), (9999, "9999"), (10_000, "10\u{202F}000"), (1_234_567, "1\u{202F}234\u{202F}567"),
  ])
  func counts(value: Int, expected: String) { #expect(Format.count(value) == expected) }
}
