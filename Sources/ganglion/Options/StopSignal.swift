import Dispatch
import Foundation
import Synchronization

/// Catches the first SIGINT or SIGTERM, so that a run can end in order; the second ends the process at once.
final class StopSignal: @unchecked Sendable {
  // Unchecked: `sources` never changes after `init`, and keeps them alive.
  private let caught = Atomic<Int32>(0)
  private let sources: [any DispatchSourceSignal]

  /// Starts to listen.
  ///
  /// - Parameter unit: what will still be finished, for the sentence that a signal is answered with.
  init(finishing unit: String = "this step") {
    let numbers = [SIGINT, SIGTERM]
    sources = numbers.map { DispatchSource.makeSignalSource(signal: $0, queue: .global()) }
    for (number, source) in zip(numbers, sources) {
      signal(number, SIG_IGN)
      source.setEventHandler { [weak self] in
        guard let self else { return }
        if self.caught.exchange(number, ordering: .relaxed) != 0 { endNow(128 + number) }
        say("\nstopping after \(unit); once more to stop at once")
      }
      source.activate()
    }
  }

  /// The signal that was caught, if any.
  var number: Int32? {
    let number = caught.load(ordering: .relaxed)
    return number == 0 ? nil : number
  }
}
