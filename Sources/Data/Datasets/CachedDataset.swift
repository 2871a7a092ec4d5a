import Synchronization

/// A data set that keeps decoded pictures in memory, up to a number of bytes.
///
/// The first pictures read stay; none is thrown out for another, because an epoch reads each once and throwing out the
/// least recent would then lose every picture just before its next use.
public struct CachedDataset: Dataset {
  private let base: any Dataset
  private let cache: Cache

  /// Keeps up to `byteBudget` bytes of the samples of `base`, 3 bytes a pixel. Copies of this value share them.
  public init(_ base: any Dataset, byteBudget: Int) {
    self.base = base
    cache = Cache(byteBudget: byteBudget)
  }

  /// The number of samples.
  public var count: Int { base.count }
  /// The names of the classes.
  public var classNames: [String] { base.classNames }
  /// The bytes of the pictures in memory.
  public var cachedByteCount: Int { cache.byteCount }

  /// The sample from memory, or else from the data set underneath.
  public func sample(at index: Int) throws -> (image: Image, label: Int) {
    if let kept = cache.sample(at: index) { return kept }
    let sample = try base.sample(at: index)
    cache.keep(sample, at: index)
    return sample
  }
}

private final class Cache: Sendable {
  private struct Contents {
    var samples: [Int: (image: Image, label: Int)] = [:]
    var byteCount = 0
  }

  private let byteBudget: Int
  private let contents = Mutex(Contents())

  init(byteBudget: Int) {
    self.byteBudget = byteBudget
  }

  var byteCount: Int { contents.withLock { $0.byteCount } }

  func sample(at index: Int) -> (image: Image, label: Int)? {
    contents.withLock { $0.samples[index] }
  }

  func keep(_ sample: (image: Image, label: Int), at index: Int) {
    contents.withLock { contents in
      let size = sample.image.pixels.count
      guard contents.byteCount + size <= byteBudget, contents.samples[index] == nil else { return }
      contents.samples[index] = sample
      contents.byteCount += size
    }
  }
}
