/// Batches of a data set, epoch by epoch.
///
/// Order and augmentation are functions of (seed, epoch, sample): the number of workers, the machine's speed and where
/// in an epoch a run starts again change nothing.
public struct DataLoader: Sendable {
  /// The order of the samples in an epoch.
  public enum Order: Hashable, Sendable {
    /// That of the data set.
    case sequential
    /// Another random order each epoch.
    case shuffled
  }

  /// What happens to the last samples of an epoch when they do not fill a batch.
  public enum Remainder: Hashable, Sendable {
    /// They make a smaller batch.
    case kept
    /// They are left out of this epoch.
    case dropped
  }

  /// Where the samples come from.
  public let dataset: any Dataset
  /// Samples in a batch.
  public let batchSize: Int
  /// What happens to each picture.
  public let preprocessing: Preprocessing
  /// The order of the samples in an epoch.
  public let order: Order
  /// What happens to an incomplete last batch.
  public let remainder: Remainder
  /// The seed of order and augmentation.
  public let seed: UInt64

  /// Batches of `batchSize` samples.
  public init(
    _ dataset: any Dataset, batchSize: Int, preprocessing: Preprocessing, order: Order,
    remainder: Remainder = .kept, seed: UInt64 = 0
  ) {
    guard batchSize > 0 else { fatalError("A batch has at least one sample; got \(batchSize).") }
    self.dataset = dataset
    self.batchSize = batchSize
    self.preprocessing = preprocessing
    self.order = order
    self.remainder = remainder
    self.seed = seed
  }

  /// The number of batches in every epoch.
  public var batchCount: Int {
    remainder == .dropped ? dataset.count / batchSize : (dataset.count + batchSize - 1) / batchSize
  }

  /// One pass over the data set; `number` counts from 0.
  public func epoch(_ number: Int) -> Epoch {
    Epoch(loader: self, number: number)
  }
}

/// What a random number is for; the first coordinate of its key, so that no two uses share draws.
enum RandomPurpose: UInt64 {
  case order, augmentation, shapes
}
