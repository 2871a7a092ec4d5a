import Layers
import TestSupport
import Testing
import Torch

@Suite struct InitializerTests {
  private func draw(
    _ initializer: Initializer, _ shape: [Int], key: String = "w", seed: UInt64 = 1,
    after others: [String] = []
  ) -> Tensor {
    let store = ParameterStore(seed: seed, dtype: .float64)
    for other in others { _ = store.root.parameter(other, [7], .uniform(bound: 1)) }
    return store.root.parameter(key, shape, initializer).detached()
  }

  @Test func valuesDependOnSeedAndKeyOnly() {
    let initializer = Initializer.truncatedNormal(deviation: 0.02)
    let alone = draw(initializer, [50])
    expectClose(draw(initializer, [50], after: ["x", "y"]), alone, 0)
    #expect(relativeError(draw(initializer, [50], key: "v"), alone) > 0.1)
    #expect(relativeError(draw(initializer, [50], seed: 2), alone) > 0.1)
  }

  @Test func constants() {
    expectEqual(draw(.zeros, [2]), [0, 0], [2])
    expectEqual(draw(.ones, [2]), [1, 1], [2])
    expectEqual(draw(.constant(0.25), [2]), [0.25, 0.25], [2])
  }

  @Test func logRangeRunsAlongTheLastDimension() {
    let row = [0, 0.693147180559945, 1.09861228866811]
    expectClose(draw(.logRange, [2, 3]), Tensor(row + row, [2, 3]), 1e-14)
  }

  @Test func uniformBounds() {
    for (initializer, bound) in [(Initializer.uniform(bound: 0.5), 0.5), (.fanInUniform(16), 0.25)] {
      let values = draw(initializer, [4000]).array(Double.self)
      #expect(values.allSatisfy { (-bound..<bound).contains($0) })
      #expect((values.max() ?? 0) > 0.98 * bound && (values.min() ?? 0) < -0.98 * bound)
    }
  }

  @Test func normalMoments() {
    let values = draw(.truncatedNormal(deviation: 0.5), [20_000])
    // Five standard errors.
    #expect(abs(values.mean().item()) < 5 * 0.5 / 20_000.0.squareRoot())
    #expect(abs(values.deviation().item() - 0.5) < 5 * 0.5 / 40_000.0.squareRoot())
    #expect(values.abs().max().item() <= 2)
  }

  @Test func softplusOfTheTimeStepIsInItsRange() {
    let steps = draw(.inverseSoftplus(0.001...0.1), [4000]).softplus().array(Double.self)
    #expect(steps.allSatisfy { (0.000999...0.1001).contains($0) })
    let middle = steps.count { $0 < 0.01 }
    // Log-uniform: half of the draws lie below the geometric mean. Five standard errors.
    #expect(abs(Double(middle) - 2000) < 5 * 1000.0.squareRoot())
  }
}
