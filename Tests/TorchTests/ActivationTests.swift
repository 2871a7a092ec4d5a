import Foundation
import TestSupport
import Testing
import Torch

@Suite struct ActivationTests {
  struct Activation: CustomTestStringConvertible {
    let testDescription: String
    let tensor: @Sendable (Tensor) -> Tensor, number: @Sendable (Double) -> Double
    init(
      _ name: String, _ tensor: @escaping @Sendable (Tensor) -> Tensor,
      _ number: @escaping @Sendable (Double) -> Double
    ) {
      (testDescription, self.tensor, self.number) = (name, tensor, number)
    }
  }

  @Test(arguments: [
    Activation("relu", { $0.relu() }, { max($0, 0) }),
    Activation("gelu", { $0.gelu() }, { 0.5 * $0 * (1 + erf($0 / sqrt(2.0))) }),
    Activation(
      "gelu tanh", { $0.gelu(.tanh) },
      { 0.5 * $0 * (1 + tanh(sqrt(2 / Double.pi) * ($0 + 0.044715 * $0 * $0 * $0))) }),
    Activation("silu", { $0.silu() }, { $0 / (1 + exp(-$0)) }),
    Activation("sigmoid", { $0.sigmoid() }, { 1 / (1 + exp(-$0)) }),
    Activation("tanh", { $0.tanh() }, { tanh($0) }),
    Activation("softplus", { $0.softplus() }, { log1p(exp($0)) }),
    Activation("leaky relu", { $0.leakyReLU(slope: 0.2) }, { $0 > 0 ? $0 : 0.2 * $0 }),
  ])
  func formulas(_ activation: Activation) {
    let x = Tensor.filled([41], key: "x", low: -5, high: 5, dtype: .float64)
    expectClose(
      activation.tensor(x), x.array(Double.self).map(activation.number), 1e-14, activation.testDescription)
    gradientCheck(activation.testDescription, [x]) { activation.tensor($0[0]) }
  }

  @Test func theFormsOfGELUDiffer() {
    let x = Tensor.filled([1000], key: "x", low: -5, high: 5, dtype: .float64)
    let difference = (x.gelu() - x.gelu(.tanh)).abs().max().item()
    #expect(difference > 1e-4 && difference < 5e-4)
  }

  @Test func softplusIsTheIdentityFarAbove() {
    expectEqual(Tensor([21.0, 1000]).softplus(), [21, 1000], [2])
  }

  @Test func softmaxes() {
    let x = Tensor([1.0, 2, 3, 1000, 1000, -1000], [2, 3])
    let sum = exp(1.0) + exp(2) + exp(3)
    let first = [exp(1.0) / sum, exp(2.0) / sum, exp(3.0) / sum]
    expectClose(x.softmax(1), first + [0.5, 0.5, 0], 1e-15)
    expectClose(x.logSoftmax(1)[0], first.map { log($0) }, 1e-15)
    expectClose(x.softmax(-1), x.softmax(1), 0)
    expectClose(x.softmax(0).sum(0), [1, 1, 1], 1e-15)
    gradientCheck("softmax", [.filled([2, 3], key: "s")]) { [$0[0].softmax(1), $0[0].logSoftmax(0)] }
  }

  @Test(arguments: [false, true], [nil, 0.3]) func attention(_ isBiased: Bool, _ scale: Double?) {
    let shape = { (n: Int, key: String) in Tensor.filled([2, 3, n, 4], key: key, dtype: .float64) }
    let (q, k, v) = (shape(5, "q"), shape(6, "k"), shape(6, "v"))
    let bias = isBiased ? Tensor.filled([1, 3, 5, 6], key: "bias", dtype: .float64) : nil
    let scores = q.matmul(k.transpose(-1, -2)) * (scale ?? 0.5)
    let expected = (bias.map { scores + $0 } ?? scores).softmax(-1).matmul(v)
    expectClose(Tensor.attention(query: q, key: k, value: v, bias: bias, scale: scale), expected, 1e-13)
    gradientCheck("attention", [q[0], k[0], v[0]]) {
      Tensor.attention(query: $0[0], key: $0[1], value: $0[2], bias: bias?[0], scale: scale)
    }
  }
}
