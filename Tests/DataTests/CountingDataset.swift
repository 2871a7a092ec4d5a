import Data
import Synchronization

/// A data set that counts its readers; sample i is filled with i, and an index in `damaged` fails.
final class CountingDataset: Dataset {
  struct Damage: Error, Equatable {
    let index: Int
  }

  let count: Int
  let classNames = ["even", "odd"]
  private let damaged: Set<Int>
  private let size: @Sendable (Int) -> Int
  private let reads = Mutex(0)

  init(count: Int, damaged: Set<Int> = [], size: @escaping @Sendable (Int) -> Int = { _ in 4 }) {
    self.count = count
    self.damaged = damaged
    self.size = size
  }

  var readCount: Int { reads.withLock { $0 } }

  func sample(at index: Int) throws -> (image: Image, label: Int) {
    reads.withLock { $0 += 1 }
    if damaged.contains(index) { throw Damage(index: index) }
    let level = UInt8(truncatingIfNeeded: index)
    let side = size(index)
    return (Image(height: side, width: side, red: level, green: level, blue: level), index % 2)
  }
}
