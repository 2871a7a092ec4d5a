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
}
