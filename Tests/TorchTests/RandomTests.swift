import TestSupport
import Testing
import Torch

@Suite struct RandomTests {
  @Test func aGeneratorRepeatsItself() {
    let (one, two) = (Generator(seed: 7), Generator(seed: 7))
    let first = Tensor.normal([100], generator: one)
    expectClose(Tensor.normal([100], generator: two), first, 0)
    #expect(relativeError(Tensor.normal([100], generator: one), first) > 0.1)
    one.reseed(7)
    expectClose(Tensor.normal([100], generator: one), first, 0)
    #expect(relativeError(Tensor.normal([100], generator: Generator(seed: 8)), first) > 0.1)
  }

  @Test func generatorsDoNotDisturbEachOther() {
    let (one, two) = (Generator(seed: 1), Generator(seed: 2))
    let alone = Tensor.uniform([8], generator: Generator(seed: 1))
    let head = Tensor.uniform([4], generator: one)
    _ = Tensor.uniform([1000], generator: two)
    expectClose(concatenate([head, .uniform([4], generator: one)], along: 0), alone, 0)
  }

  @Test func distributions() {
    let generator = Generator(seed: 3)
    let uniform = Tensor.uniform([100_000], low: -2, high: 6, generator: generator)
    #expect(uniform.min().item() >= -2 && uniform.max().item() <= 6)
    #expect(abs(uniform.mean().item() - 2) < 0.05)
    #expect(abs(uniform.deviation().item() - 8 / (12.0).squareRoot()) < 0.05)
    let normal = Tensor.normal([100_000], mean: 3, deviation: 2, generator: generator, dtype: .float64)
    #expect(normal.dtype == .float64)
    #expect(abs(normal.mean().item() - 3) < 0.05)
    #expect(abs(normal.deviation().item() - 2) < 0.05)
    let kept = Tensor.zeros([100_000]).bernoulli(0.2, generator: generator)
    #expect((kept * kept - kept).abs().max().item() == 0)
    #expect(abs(kept.mean().item() - 0.2) < 0.01)
    let order = Tensor.permutation(100, generator: generator)
    #expect(order.array(Int.self).sorted() == Array(0..<100))
    #expect(order.array(Int.self) != Array(0..<100))
  }

  // Reference values of SplitMix64 for the states 0 and 1234567.
  @Test(
    arguments: [
      0: [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f],
      1_234_567: [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423],
    ] as [UInt64: [UInt64]])
  func splitMix(_ state: UInt64, _ words: [UInt64]) {
    var random = CounterRandom(state: state)
    #expect((0..<3).map { _ in random.next() } == words)
  }

  @Test func drawsDependOnSeedStepAndKeyAlone() {
    func draws(_ seed: UInt64, _ step: UInt64, _ key: String) -> [UInt64] {
      var random = CounterRandom(seed: seed, step: step, key: key)
      return (0..<4).map { _ in random.next() }
    }
    #expect(draws(1, 2, "drop") == draws(1, 2, "drop"))
    let others = [
      draws(1, 2, "drop"), draws(2, 2, "drop"), draws(1, 3, "drop"), draws(1, 2, "drop2"),
      draws(2, 1, "drop"),
    ]
    #expect(Set(others.flatMap { $0 }).count == 20)
    let units = (0..<10_000).map { step in
      var random = CounterRandom(seed: 5, step: UInt64(step), key: "unit")
      return random.nextUnit()
    }
    #expect(units.allSatisfy { (0..<1).contains($0) })
    #expect(abs(units.reduce(0, +) / 10_000 - 0.5) < 0.01)
  }
}
