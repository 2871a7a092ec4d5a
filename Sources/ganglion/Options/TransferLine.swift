import Downloads
import Foundation
import Synchronization

/// How far a download has come, on standard error: one live line on a terminal, else a line every five seconds.
final class TransferLine: Sendable {
  private struct State {
    var start = ContinuousClock.now
    var lastShown: ContinuousClock.Instant?
    var first: Int?
    var isVisible = false
  }

  private let isTerminal = isatty(STDERR_FILENO) == 1
  private let state = Mutex(State())

  /// Tells of an event, if it is time to.
  func show(_ event: Downloader.Event) {
    switch event {
    case .progress(let received, let total, let resumed): progress(received, total, resumed)
    case .retry(let problem, let pause):
      tell(printable("the file " + problem) + String(format: "; once more in %g s", pause / .seconds(1)))
    case .waiting: tell("another process fetches the file: waiting for it")
    }
  }

  /// Takes the line away, so that something else can be written.
  func clear() {
    state.withLock { state in
      guard state.isVisible else { return }
      say("\r\u{1B}[K", terminator: "")
      state.isVisible = false
    }
  }

  private func tell(_ sentence: String) {
    clear()
    say(sentence)
  }

  private func progress(_ received: Int, _ total: Int?, _ resumed: Int) {
    state.withLock { state in
      let now = ContinuousClock.now
      if state.first == nil {
        (state.first, state.start) = (received, now)
        if resumed > 0, received > resumed { say("going on after \(Self.megabytes(resumed))") }
      }
      let interval: Duration = isTerminal ? .milliseconds(200) : .seconds(5)
      guard received == total || now - (state.lastShown ?? state.start) >= interval else { return }
      state.lastShown = now
      let text = Self.text(
        received, total,
        bytesPerSecond: Double(received - (state.first ?? 0)) / max((now - state.start) / .seconds(1), 1e-9))
      if isTerminal {
        say("\r\u{1B}[K" + text, terminator: "")
        state.isVisible = true
      } else {
        say(text)
      }
    }
  }

  /// Such as `43 %  46.5 MB of 108.3 MB  11.2 MB/s  0:06 left`.
  static func text(_ received: Int, _ total: Int?, bytesPerSecond rate: Double) -> String {
    let speed = String(format: "%.1f MB/s", max(0, rate) / 1e6)
    guard let total, total > 0 else { return "\(megabytes(received))  \(speed)" }
    let share = String(format: "%d %%", 100 * received / total)
    let left = rate > 0 ? Int(min(Double(total - received) / rate, 1e7)) : nil
    let time = left.map { String(format: "  %d:%02d left", $0 / 60, $0 % 60) } ?? ""
    return "\(share)  \(megabytes(received)) of \(megabytes(total))  \(speed)\(received < total ? time : "")"
  }

  private static func megabytes(_ count: Int) -> String { String(format: "%.1f MB", Double(count) / 1e6) }
}
