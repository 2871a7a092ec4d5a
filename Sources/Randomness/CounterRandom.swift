import Foundation

/// Random numbers as a function of a key and a counter: SplitMix64.
///
/// Steele, Lea & Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014, figure 17. A generator for
/// (seed, epoch, sample), or for (seed, step, a layer's key), gives the same draws whoever makes it and whenever, so
/// recomputation, any number of workers and a resumed run see the same numbers. The standard library's
/// distributions may change between releases; these do not.
public struct CounterRandom: RandomNumberGenerator, Sendable {
  private var state: UInt64

  /// The generator of `seed` for the given coordinates, for example a purpose, an epoch and a sample index.
  public init(seed: UInt64, _ coordinates: UInt64...) {
    state = coordinates.reduce(scrambled(seed)) { key, coordinate in
      scrambled(key &+ increment) &+ scrambled(coordinate &+ 1)
    }
  }

  /// The generator that starts from a SplitMix64 state.
  public init(state: UInt64) {
    self.state = state
  }

  /// A text as a coordinate: FNV-1a of its UTF-8 bytes.
  public static func hash(_ text: String) -> UInt64 {
    text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  }

  /// The next 64 bits, all equally likely.
  public mutating func next() -> UInt64 {
    state &+= increment
    return scrambled(state)
  }

  /// A number from 0 up to, and without, 1.
  public mutating func unit() -> Double {
    Double(next() >> 11) * 0x1p-53
  }

  /// A number of a range, all equally likely.
  public mutating func uniform(in range: ClosedRange<Double>) -> Double {
    range.lowerBound + (range.upperBound - range.lowerBound) * unit()
  }

  /// A whole number of a range that is not empty, all equally likely (to 2^-64 times the range's length).
  public mutating func integer(in range: Range<Int>) -> Int {
    guard !range.isEmpty else { fatalError("A random integer from the empty range \(range).") }
    return range.lowerBound + Int(next().multipliedFullWidth(by: UInt64(range.count)).high)
  }

  /// True with a probability.
  public mutating func chance(_ probability: Double) -> Bool {
    unit() < probability
  }

  /// A number of the standard normal distribution (Box & Muller, 1958).
  public mutating func normal() -> Double {
    let radius = (-2 * log(1 - unit())).squareRoot()
    return radius * cos(2 * .pi * unit())
  }

  /// `0..<count` in a random order, all orders equally likely (Fisher & Yates).
  public mutating func permutation(_ count: Int) -> [Int] {
    var order = Array(0..<count)
    for last in stride(from: count - 1, to: 0, by: -1) {
      order.swapAt(last, integer(in: 0..<(last + 1)))
    }
    return order
  }
}

/// 2^64 divided by the golden ratio, made odd: multiples of it are spread evenly.
private let increment: UInt64 = 0x9E37_79B9_7F4A_7C15

private func scrambled(_ value: UInt64) -> UInt64 {
  var z = value
  z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
  z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
  return z ^ (z >> 31)
}
