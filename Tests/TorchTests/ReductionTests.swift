import Foundation
import TestSupport
import Testing
import Torch

@Suite struct ReductionTests {
  private let x = Tensor([1.0, -2, 3, 4, 0.5, -6], [2, 3])

  @Test func sumsAndMeans() {
    expectEqual(x.sum(), [0.5], [])
    expectEqual(x.sum(0), [5, -1.5, -3], [3])
    expectEqual(x.sum(1, keepDimensions: true), [2, -1.5], [2, 1])
    expectEqual(x.sum(0, 1), [0.5], [])
    expectClose(x.mean(), [0.5 / 6], 1e-15)
    expectEqual(x.mean(0), [2.5, -0.75, -1.5], [3])
    expectEqual(x.mean(-1, keepDimensions: true), [2.0 / 3, -0.5], [2, 1])
    expectEqual(x.cumulativeSum(1), [1, -1, 2, 4, 4.5, -1.5], [2, 3])
    #expect(Tensor([true, true, false]).sum().itemInt() == 2)
  }

  @Test func extremes() {
    expectEqual(x.max(), [4], [])
    expectEqual(x.min(), [-6], [])
    expectEqual(x.max(0), [4, 0.5, 3], [3])
    expectEqual(x.min(1, keepDimensions: true), [-2, -6], [2, 1])
    #expect(x.argmax(1).array(Int.self) == [2, 0])
    #expect(x.argmin(0).array(Int.self) == [0, 0, 1])
    let top = x.topK(2)
    expectEqual(top.values, [3, 1, 4, 0.5], [2, 2])
    #expect(top.indices.array(Int.self) == [2, 0, 0, 1])
    let sorted = x.sorted(along: 1, descending: true)
    expectEqual(sorted.values, [3, 1, -2, 4, 0.5, -6], [2, 3])
    #expect(x.sorted(along: 0).indices.array(Int.self) == [0, 0, 1, 1, 1, 0])
  }

  @Test func truth() {
    #expect((x .> -7).all().item() == 1)
    #expect((x .> 0).all().item() == 0)
    #expect((x .> 3.5).any().item() == 1)
    #expect((x .> 4).any().item() == 0)
  }

  @Test func spread() {
    expectClose(Tensor([3.0, 4]).norm(), [5], 1e-15)
    expectClose(Tensor([1.0, 3]).deviation(), [1], 1e-15)
    expectClose(Tensor([1.0, 3]).deviation(correction: 1), [sqrt(2.0)], 1e-15)
    let sums = [log(exp(1.0) + exp(-2) + exp(3)), log(exp(4.0) + exp(0.5) + exp(-6))]
    expectClose(x.logSumExp(1), sums, 1e-14)
    expectShape(x.logSumExp(1, keepDimensions: true), [2, 1])
    expectClose(Tensor([1000.0, 1000]).logSumExp(0), [1000 + log(2.0)], 1e-14)
  }

  @Test func derivatives() {
    gradientCheck("reductions", [Tensor.filled([3, 4], key: "r")]) { inputs in
      let x = inputs[0]
      return [
        x.sum(1), x.mean(0), x.max(1), x.min(0), x.norm(), x.deviation(correction: 1), x.logSumExp(1),
        x.cumulativeSum(0), x.topK(2).values,
      ]
    }
  }
}
