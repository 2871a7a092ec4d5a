import Foundation

/// How far long work has come, on standard error: one live line on a terminal, else a line every ten seconds.
struct LiveLine {
  private let total: Int
  private let unit: String
  private let isTerminal = isatty(STDERR_FILENO) == 1
  private let start = ContinuousClock.now
  private var lastShown = ContinuousClock.now
  private var isVisible = false

  /// A line about `total` things, such as `pictures`.
  init(total: Int, unit: String) {
    self.total = total
    self.unit = unit
  }

  /// Shows the line again, if it is time to.
  mutating func show(_ done: Int) {
    let now = ContinuousClock.now
    guard done < total, now - lastShown >= (isTerminal ? .milliseconds(200) : .seconds(10)) else { return }
    lastShown = now
    let rate = Double(done) / max((now - start) / .seconds(1), 1e-9)
    let left = rate > 0 ? Int(min(Double(total - done) / rate, 1e8)) : 0
    let text = String(
      format: "%d of %d \(unit)  %.1f a second  %d:%02d:%02d left", done, total, rate, left / 3600,
      left / 60 % 60, left % 60)
    if isTerminal {
      say("\r\u{1B}[K" + text, terminator: "")
      isVisible = true
    } else {
      say(text)
    }
  }

  /// Takes the line away, so that something else can be written.
  mutating func clear() {
    guard isVisible else { return }
    say("\r\u{1B}[K", terminator: "")
    isVisible = false
  }
}
