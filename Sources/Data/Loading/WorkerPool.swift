import Foundation

/// A fixed number of threads for tasks that read files and compute without pause, which would otherwise occupy the
/// threads that all other tasks share.
final class WorkerPool: TaskExecutor {
  private let queue: OperationQueue

  init(threadCount: Int) {
    queue = OperationQueue()
    queue.maxConcurrentOperationCount = threadCount
  }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.addOperation { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
  }
}
