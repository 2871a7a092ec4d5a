import Foundation
import TestSupport
import Testing
import Torch

@Suite struct LossTests {
  private let logits = Tensor([1.0, 2, 0.5, -1, 0, 3], [2, 3])

  /// The logarithms of the rows' softmax, by the definition.
  private var logProbabilities: [[Double]] {
    [[1, 2, 0.5], [-1, 0, 3]].map { row in
      let sum = row.reduce(0) { $0 + exp($1) }
      return row.map { $0 - log(sum) }
    }
  }

  /// The mean over rows of -Σ target · log p.
  private func crossEntropy(_ targets: [[Double]]) -> Double {
    zip(targets, logProbabilities).map { -zip($0, $1).map { $0 * $1 }.reduce(0, +) }.reduce(0, +) / 2
  }

  @Test(arguments: [0, 0.1, 1.0]) func crossEntropyOfLabels(_ smoothing: Double) {
    let targets = [[0, 1, 0], [1.0, 0, 0]].map { $0.map { $0 * (1 - smoothing) + smoothing / 3 } }
    expectClose(logits.crossEntropy(Tensor([1, 0]), smoothing: smoothing), [crossEntropy(targets)], 1e-14)
  }

  @Test(arguments: [0, 0.1]) func crossEntropyOfSoftTargets(_ smoothing: Double) {
    let soft = [[0.25, 0.75, 0], [0.1, 0.2, 0.7]]
    let targets = soft.map { $0.map { $0 * (1 - smoothing) + smoothing / 3 } }
    let loss = logits.crossEntropy(Tensor(soft.flatMap { $0 }, [2, 3]), smoothing: smoothing)
    expectClose(loss, [crossEntropy(targets)], 1e-14)
  }

  @Test func otherLosses() {
    expectClose(Tensor([1.0, 2]).meanSquaredError(Tensor([0.0, 4])), [2.5], 1e-15)
    let expected = (-0.25 * log(1 / (1 + exp(-2.0))) - 0.75 * log(1 - 1 / (1 + exp(-2.0))) + log(2.0)) / 2
    expectClose(Tensor([2.0, 0]).binaryCrossEntropy(Tensor([0.25, 1])), [expected], 1e-14)
    let hot = Tensor([2, 0]).oneHot(3)
    expectEqual(hot, [0, 0, 1, 1, 0, 0], [2, 3])
    #expect(hot.dtype == .int64)
  }

  @Test func derivatives() {
    gradientCheck("losses", [logits, .filled([2, 3], key: "t", low: 0, high: 1)]) { inputs in
      [
        inputs[0].crossEntropy(Tensor([1, 0]), smoothing: 0.1), inputs[0].crossEntropy(inputs[1]),
        inputs[0].meanSquaredError(inputs[1]), inputs[0].binaryCrossEntropy(inputs[1]),
      ]
    }
  }

  @Test func labelsOutsideTheClassesAreErrors() {
    #expect(throws: TorchError.self) { try withTorchErrors { logits.crossEntropy(Tensor([1, 3])) } }
  }
}
