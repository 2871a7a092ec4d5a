import Testing

@testable import Randomness

@Suite struct CounterRandomTests {
  @Test func scramblerIsSplitMix64() {
    var random = CounterRandom(state: 1_234_567)
    let expected: [UInt64] = [
      6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423,
    ]
    #expect(expected.map { _ in random.next() } == expected)
  }

  @Test(
    arguments: [("", 0xcbf2_9ce4_8422_2325), ("input:1x3x224x224", 0xeba6_8987_44f2_f59b)]
      as [(String, UInt64)])
  func textsAreHashedByFNV1a(_ text: String, _ hash: UInt64) {
    #expect(CounterRandom.hash(text) == hash)
  }

  @Test func everyCoordinateAndItsPlaceCounts() {
    let keys: [[UInt64]] = [[0, 0], [0, 1], [1, 0], [2, 3], [3, 2], [7, 7]]
    var firsts: Set<UInt64> = []
    for seed: UInt64 in 0..<3 {
      for key in keys {
        var random = CounterRandom(seed: seed, key[0], key[1])
        firsts.insert(random.next())
      }
    }
    #expect(firsts.count == 3 * keys.count)
  }

  @Test func distributionsHaveTheirMoments() {
    var random = CounterRandom(seed: 3)
    let count = 40_000
    let units = (0..<count).map { _ in random.unit() }
    let normals = (0..<count).map { _ in random.normal() }
    func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }
    #expect(abs(mean(units) - 0.5) < 0.01)
    #expect(abs(mean(units.map { $0 * $0 }) - 1.0 / 3) < 0.01)
    #expect(units.allSatisfy { $0 >= 0 && $0 < 1 })
    #expect(abs(mean(normals)) < 0.02)
    #expect(abs(mean(normals.map { $0 * $0 }) - 1) < 0.04)
    #expect(abs(mean(normals.map { $0 * $0 * $0 * $0 }) - 3) < 0.3)
    let counts = (0..<count).reduce(into: [Int](repeating: 0, count: 5)) { counts, _ in
      counts[random.integer(in: 10..<15) - 10] += 1
    }
    #expect(counts.allSatisfy { abs($0 - count / 5) < 300 })
  }

  @Test func permutationsHoldEachNumberOnce() {
    var random = CounterRandom(seed: 9)
    var placesOfZero: Set<Int> = []
    for _ in 0..<60 {
      let order = random.permutation(5)
      #expect(order.sorted() == [0, 1, 2, 3, 4])
      placesOfZero.insert(order.firstIndex(of: 0) ?? -1)
    }
    #expect(placesOfZero == [0, 1, 2, 3, 4])
    #expect(random.permutation(0).isEmpty)
  }
}
