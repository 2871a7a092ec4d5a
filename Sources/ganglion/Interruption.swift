import Dispatch
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A first Ctrl-C asks for a clean end between two pieces of work; a second one ends the process at once.
final class Interruption {
  private final class Flag: Sendable {
    let isSet = Atomic(false)
  }

  private let flag = Flag()
  private let source: any DispatchSourceSignal

  init() {
    signal(SIGINT, SIG_IGN)
    source = DispatchSource.makeSignalSource(signal: SIGINT)
    source.setEventHandler { [flag] in
      signal(SIGINT, SIG_DFL)
      flag.isSet.store(true, ordering: .relaxed)
    }
    source.resume()
  }

  deinit {
    source.cancel()
    signal(SIGINT, SIG_DFL)
  }

  var isRequested: Bool { flag.isSet.load(ordering: .relaxed) }
}
