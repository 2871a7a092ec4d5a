import Foundation

/// A task executor that runs everything on one thread of its own.
///
/// LibTorch keeps a pool of threads and settings for every thread that calls it; tasks that wander between threads
/// would have several pools compete for the processor's cores.
final class OneThread: TaskExecutor, @unchecked Sendable {
  // Unchecked: `jobs` is only touched while `condition` is locked.
  private let condition = NSCondition()
  private var jobs: [UnownedJob] = []

  private init() {
    let thread = Thread { [self] in
      while true { next().runSynchronously(on: asUnownedTaskExecutor()) }
    }
    // Deep recursion in LibTorch's backward passes needs a main thread's stack.
    thread.stackSize = 8 << 20
    thread.start()
  }

  /// The process's one such thread.
  static let shared = OneThread()

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    condition.withLock {
      jobs.append(job)
      condition.signal()
    }
  }

  private func next() -> UnownedJob {
    condition.withLock {
      while jobs.isEmpty { condition.wait() }
      return jobs.removeFirst()
    }
  }
}
