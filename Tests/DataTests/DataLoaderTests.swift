import Data
import Foundation
import Testing

@Suite struct DataLoaderTests {
  private static let augmented = Preprocessing(
    [
      RandomResizedCrop(height: 12, width: 12, filters: [.bilinear, .bicubic]), RandomHorizontalFlip(),
      ColorJitter(brightness: 0.4, contrast: 0.4, saturation: 0.4),
    ], erasing: RandomErasing(probability: 0.5))

  private func loader(
    count: Int = 23, batchSize: Int = 4, remainder: DataLoader.Remainder = .kept, seed: UInt64 = 1
  ) -> DataLoader {
    DataLoader(
      SyntheticShapes(count: count, imageSize: 16), batchSize: batchSize, preprocessing: Self.augmented,
      order: .shuffled, remainder: remainder, seed: seed)
  }

  private func collect(_ sequence: BatchSequence) async throws -> [Batch] {
    var batches: [Batch] = []
    for try await batch in sequence { batches.append(batch) }
    return batches
  }

  @Test("Any number of workers gives the batches of the calling thread", arguments: [1, 2, 4])
  func workersChangeNothing(workerCount: Int) async throws {
    let epoch = loader().epoch(3)
    let expected = try (0..<epoch.count).map { try epoch.batch(at: $0) }
    let isEqual = try await collect(epoch.batches(workerCount: workerCount)) == expected
    #expect(isEqual)
    let isEqualOneByOne = try await collect(epoch.batches(workerCount: workerCount, readAhead: 1)) == expected
    #expect(isEqualOneByOne)
  }

  @Test("A restart in the middle goes on as if nothing had happened", arguments: [0, 1, 4, 5, 6, 9])
  func restart(start: Int) async throws {
    let whole = try await collect(loader().epoch(2).batches(workerCount: 2))
    let rest = try await collect(loader().epoch(2).batches(from: start, workerCount: 3))
    let isEqual = rest == Array(whole.dropFirst(start))
    #expect(isEqual)
  }

  @Test func eachEpochHoldsEverySampleOnceInItsOwnOrder() throws {
    let loader = loader()
    let orders = (0..<3).map { number in
      let epoch = loader.epoch(number)
      return (0..<epoch.count).flatMap { epoch.indices(ofBatch: $0) }
    }
    for order in orders { #expect(order.sorted() == Array(0..<23)) }
    #expect(Set(orders).count == 3)
  }

  @Test func seedEpochAndSampleChangeTheAugmentation() throws {
    func pixels(seed: UInt64, epoch: Int) throws -> [Float] {
      let loader = DataLoader(
        CountingDataset(count: 1) { _ in 40 }, batchSize: 1, preprocessing: Self.augmented,
        order: .sequential, seed: seed)
      return try loader.epoch(epoch).batch(at: 0).pixels
    }
    let first = try pixels(seed: 0, epoch: 0)
    #expect(try pixels(seed: 0, epoch: 0) == first)
    #expect(try pixels(seed: 0, epoch: 1) != first)
    #expect(try pixels(seed: 1, epoch: 0) != first)
  }

  @Test("The remainder is kept or dropped", arguments: [(23, 6, 5), (24, 6, 6), (3, 1, 0), (0, 0, 0)])
  func remainder(count: Int, kept: Int, dropped: Int) throws {
    #expect(loader(count: count).batchCount == kept)
    #expect(loader(count: count, remainder: .dropped).batchCount == dropped)
    if kept > 0 {
      let last = try loader(count: count).epoch(0).batch(at: kept - 1)
      #expect(last.count == (count - 1) % 4 + 1)
      #expect(last.shape == [last.count, 3, 12, 12] && last.pixels.count == last.count * 3 * 144)
    }
  }

  @Test func pixelsAndLabelsBelongTogether() throws {
    let plain = Preprocessing([], normalization: Normalization(mean: .zero, standardDeviation: .one))
    let loader = DataLoader(
      CountingDataset(count: 9), batchSize: 4, preprocessing: plain, order: .shuffled, seed: 5)
    let batch = try loader.epoch(0).batch(at: 1)
    for (position, index) in batch.indices.enumerated() {
      #expect(batch.labels[position] == Int64(index % 2))
      let pixels = batch.pixels[(position * 48)..<((position + 1) * 48)]
      #expect(pixels.allSatisfy { $0 == Float(index) / 255 })
    }
  }

  @Test("An error ends the sequence after the batches before it", arguments: [1, 3])
  func errors(workerCount: Int) async throws {
    let loader = DataLoader(
      CountingDataset(count: 40, damaged: [9]), batchSize: 4, preprocessing: Preprocessing([]),
      order: .sequential)
    var iterator = loader.epoch(0).batches(workerCount: workerCount).makeAsyncIterator()
    #expect(try await iterator.next()?.indices == [0, 1, 2, 3])
    #expect(try await iterator.next()?.indices == [4, 5, 6, 7])
    await #expect(throws: CountingDataset.Damage(index: 9)) { try await iterator.next() }
    #expect(try await iterator.next() == nil as Batch?)
  }

  @Test func unequalSizesAreNamed() {
    let loader = DataLoader(
      CountingDataset(count: 4) { $0 == 2 ? 7 : 5 }, batchSize: 4, preprocessing: Preprocessing([]),
      order: .sequential)
    let expected = DatasetError.unequalSizes(
      index: 2, height: 7, width: 7, expectedHeight: 5, expectedWidth: 5)
    #expect(throws: expected) { try loader.epoch(0).batch(at: 0) }
  }

  @Test func readingAheadIsBounded() async throws {
    let dataset = CountingDataset(count: 1000)
    let loader = DataLoader(
      dataset, batchSize: 2, preprocessing: Preprocessing([]), order: .sequential)
    var iterator = loader.epoch(0).batches(workerCount: 2, readAhead: 5).makeAsyncIterator()
    for batch in 1...20 {
      #expect(try await iterator.next()?.count == 2)
      #expect(dataset.readCount <= 2 * (batch + 4))
    }
  }

  @Test func leavingTheLoopStopsTheWorkers() async throws {
    let dataset = Self.endless()
    let loader = DataLoader(
      dataset, batchSize: 10, preprocessing: Preprocessing([]), order: .sequential)
    for try await batch in loader.epoch(0).batches(workerCount: 2, readAhead: 50) {
      #expect(batch.count == 10)
      break
    }
    // Each worker may finish the sample it is at.
    try await Task.sleep(for: .milliseconds(100))
    try await expectNoMoreReads(of: dataset)
  }

  @Test func cancellingTheConsumerStopsTheWorkersBeforeItEnds() async throws {
    let dataset = Self.endless()
    let loader = DataLoader(
      dataset, batchSize: 10, preprocessing: Preprocessing([]), order: .sequential)
    let consumer = Task {
      for try await _ in loader.epoch(0).batches(workerCount: 2, readAhead: 50) {}
    }
    while dataset.readCount < 25 { await Task.yield() }
    consumer.cancel()
    await #expect(throws: CancellationError.self) { try await consumer.value }
    try await expectNoMoreReads(of: dataset)
  }

  /// A set that takes so long to read that only a stop explains an end.
  private static func endless() -> CountingDataset {
    CountingDataset(count: 1_000_000) { _ in
      usleep(1000)
      return 4
    }
  }

  private func expectNoMoreReads(of dataset: CountingDataset) async throws {
    let reads = dataset.readCount
    try await Task.sleep(for: .milliseconds(50))
    #expect(dataset.readCount == reads)
  }
}
