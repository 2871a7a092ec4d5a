import Randomness

/// One pass over a data set: a sequence of batches that are fixed before the first is read.
public struct Epoch: Sendable {
  private let loader: DataLoader
  /// The epoch's number, from 0.
  public let number: Int
  private let order: [Int]

  init(loader: DataLoader, number: Int) {
    self.loader = loader
    self.number = number
    switch loader.order {
    case .sequential: order = Array(0..<loader.dataset.count)
    case .shuffled:
      var random = CounterRandom(
        seed: loader.seed, RandomPurpose.order.rawValue, UInt64(truncatingIfNeeded: number))
      order = random.permutation(loader.dataset.count)
    }
  }

  /// The number of batches.
  public var count: Int { loader.batchCount }

  /// The data set's indices of a batch.
  public func indices(ofBatch index: Int) -> ArraySlice<Int> {
    guard (0..<count).contains(index) else { fatalError("Batch \(index) of an epoch of \(count) batches.") }
    let start = index * loader.batchSize
    return order[start..<min(start + loader.batchSize, order.count)]
  }

  /// Reads a batch on the calling thread.
  ///
  /// - Throws: The data set's error, naming the file; ``DatasetError`` if the samples differ in size;
  ///   `CancellationError` in a task that was cancelled.
  public func batch(at index: Int) throws -> Batch {
    let indices = indices(ofBatch: index)
    var labels: [Int64] = []
    var pixels: [Float] = []
    var (height, width) = (0, 0)
    let channels = loader.preprocessing.normalization.channels
    for (position, sampleIndex) in indices.enumerated() {
      try Task.checkCancellation()
      let sample = try loader.dataset.sample(at: sampleIndex)
      var random = CounterRandom(
        seed: loader.seed, RandomPurpose.augmentation.rawValue, UInt64(truncatingIfNeeded: number),
        UInt64(sampleIndex))
      let image = loader.preprocessing.transformed(sample.image, using: &random)
      if position == 0 {
        (height, width) = (image.height, image.width)
        pixels = [Float](repeating: 0, count: indices.count * channels * height * width)
      } else if (image.height, image.width) != (height, width) {
        throw DatasetError.unequalSizes(
          index: sampleIndex, height: image.height, width: image.width, expectedHeight: height,
          expectedWidth: width)
      }
      labels.append(Int64(sample.label))
      pixels.withUnsafeMutableBufferPointer { pixels in
        let size = channels * height * width
        let planes = UnsafeMutableBufferPointer(rebasing: pixels[(position * size)..<((position + 1) * size)])
        loader.preprocessing.write(image, to: planes, using: &random)
      }
    }
    return Batch(
      pixels: pixels, labels: labels, indices: Array(indices), height: height, width: width)
  }

  /// The batches from `start` on, read ahead by `workerCount` threads.
  ///
  /// - Parameters:
  ///   - start: The first batch, for a run that goes on within an epoch.
  ///   - workerCount: Threads that read and transform, each a batch at a time.
  ///   - readAhead: Batches in the making or ready at any time; they bound the memory.
  /// - Returns: The batches in order; each loop over them reads them anew.
  public func batches(from start: Int = 0, workerCount: Int, readAhead: Int? = nil) -> BatchSequence {
    guard start >= 0, workerCount > 0, readAhead ?? 1 > 0 else {
      fatalError(
        "Batches from \(start) with \(workerCount) workers and read-ahead \(readAhead ?? 1): "
          + "the start is not negative and the others are positive.")
    }
    return BatchSequence(
      epoch: self, start: start, workerCount: workerCount, readAhead: readAhead ?? workerCount + 1)
  }
}
