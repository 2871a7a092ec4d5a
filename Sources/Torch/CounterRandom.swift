/// SplitMix64: random words addressed by a counter instead of drawn from a hidden stream.
///
/// The state of a draw is a function of what names it (a seed, a step, a layer's key, a sample), so recomputation,
/// resumed runs and any number of workers see the same draws. Steele, Lea & Flood, "Fast splittable pseudorandom
/// number generators", OOPSLA 2014.
public struct CounterRandom: RandomNumberGenerator, Sendable {
  private var state: UInt64

  /// The sequence that starts at `state`.
  public init(state: UInt64) { self.state = state }

  /// The sequence of the draws that `key` names at `step` of a run of `seed`.
  public init(seed: UInt64, step: UInt64, key: String) {
    var mixer = CounterRandom(state: seed)
    var words = mixer.next() ^ Self.hash(key)
    mixer = CounterRandom(state: words)
    words = mixer.next() ^ step
    state = CounterRandom.mix(words &+ 0x9e37_79b9_7f4a_7c15)
  }

  /// The next 64 random bits.
  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    return Self.mix(state)
  }

  /// The next number in `0..<1`, of 24 random bits.
  public mutating func nextUnit() -> Double { Double(next() >> 40) * 0x1p-24 }

  /// FNV-1a of the key's UTF-8 bytes.
  public static func hash(_ key: String) -> UInt64 {
    key.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  }

  private static func mix(_ word: UInt64) -> UInt64 {
    var z = word
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
