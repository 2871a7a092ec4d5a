/// Batches in the epoch's order, read ahead by workers.
///
/// Leaving the loop, an error and the cancellation of the consuming task all stop the workers, at the latest after the
/// sample each is at. The first error ends the sequence.
public struct BatchSequence: AsyncSequence, Sendable {
  /// What the sequence gives.
  public typealias Element = Batch

  let epoch: Epoch
  let start: Int
  let workerCount: Int
  let readAhead: Int

  /// Starts a pass of its own over the batches.
  public func makeAsyncIterator() -> Iterator {
    Iterator(reader: BatchReader(self))
  }

  /// One pass over the batches, with workers of its own.
  public struct Iterator: AsyncIteratorProtocol {
    fileprivate let reader: BatchReader

    /// The next batch, once it is ready; nil at the end of the epoch.
    public mutating func next() async throws -> Batch? {
      try await next(isolation: #isolation)
    }

    /// The next batch, once it is ready; nil at the end of the epoch.
    public mutating func next(isolation actor: isolated (any Actor)?) async throws -> Batch? {
      try await reader.next(isolation: actor)
    }
  }
}

/// Keeps the tasks of the batches to come; the last reference going away cancels them.
private final class BatchReader {
  private let epoch: Epoch
  private let readAhead: Int
  private let workers: WorkerPool
  private var started: Int
  private var pending: [Task<Batch, any Error>] = []

  init(_ sequence: BatchSequence) {
    epoch = sequence.epoch
    readAhead = sequence.readAhead
    workers = WorkerPool(threadCount: sequence.workerCount)
    started = sequence.start
  }

  deinit {
    for task in pending { task.cancel() }
  }

  func next(isolation actor: isolated (any Actor)?) async throws -> Batch? {
    readOn()
    guard !pending.isEmpty else { return nil }
    let task = pending.removeFirst()
    do {
      return try await withTaskCancellationHandler {
        try await task.value
      } onCancel: {
        task.cancel()
      }
    } catch {
      await stop(isolation: actor)
      throw error
    }
  }

  private func readOn() {
    while pending.count < readAhead, started < epoch.count {
      let (epoch, index) = (epoch, started)
      pending.append(Task(executorPreference: workers) { try epoch.batch(at: index) })
      started += 1
    }
  }

  private func stop(isolation actor: isolated (any Actor)?) async {
    started = epoch.count
    for task in pending { task.cancel() }
    for task in pending { _ = await task.result }
    pending = []
  }
}
