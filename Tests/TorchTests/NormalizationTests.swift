import TestSupport
import Testing
import Torch

@Suite struct NormalizationTests {
  private let x = Tensor.filled([3, 4, 2, 5], key: "x", low: -1, high: 3, dtype: .float64)
  private let weight = Tensor.filled([4], key: "w", dtype: .float64)
  private let bias = Tensor.filled([4], key: "b", dtype: .float64)

  /// (x - mean) / sqrt(variance + epsilon) over runs of `length` elements, with population variance.
  private func normalized(_ values: [Double], _ length: Int, _ epsilon: Double) -> [Double] {
    stride(from: 0, to: values.count, by: length).flatMap { start in
      let run = values[start..<start + length]
      let mean = run.reduce(0, +) / Double(length)
      let variance = run.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(length)
      return run.map { ($0 - mean) / (variance + epsilon).squareRoot() }
    }
  }

  private func affine(_ tensor: Tensor) -> Tensor {
    tensor * weight.reshape(1, 4, 1, 1) + bias.reshape(1, 4, 1, 1)
  }

  @Test func layerNorm() {
    let expected = Tensor(normalized(x.array(), 10, 1e-3), x.shape)
    expectClose(x.layerNorm([2, 5], weight: nil, bias: nil, epsilon: 1e-3), expected, 1e-13)
    let (w, b) = (
      Tensor.filled([2, 5], key: "w", dtype: .float64), Tensor.filled([2, 5], key: "b", dtype: .float64)
    )
    expectClose(x.layerNorm([2, 5], weight: w, bias: b, epsilon: 1e-3), expected * w + b, 1e-13)
  }

  @Test(arguments: [1, 2, 4]) func groupNorm(_ groups: Int) {
    let expected = Tensor(normalized(x.array(), 40 / groups, 1e-5), x.shape)
    expectClose(x.groupNorm(groups: groups, weight: nil, bias: nil, epsilon: 1e-5), expected, 1e-13)
    expectClose(
      x.groupNorm(groups: groups, weight: weight, bias: bias, epsilon: 1e-5), affine(expected), 1e-13)
  }

  @Test func rmsNorm() {
    let meanSquares = (x * x).mean(-1, keepDimensions: true)
    let w = Tensor.filled([5], key: "w", dtype: .float64)
    expectClose(x.rmsNorm([5], weight: w, epsilon: 1e-2), x / (meanSquares + 1e-2).sqrt() * w, 1e-13)
  }

  @Test func batchNormInTrainingUsesTheBatchAndMovesTheRunningStatistics() {
    let channels = x.permute(1, 0, 2, 3).reshape(4, 30)
    let expected = Tensor(normalized(channels.array(), 30, 1e-5), [4, 3, 2, 5]).permute(1, 0, 2, 3)
    let (mean, variance) = (Tensor.ones([4], dtype: .float64), Tensor.full([4], 2, dtype: .float64))
    let result = x.batchNorm(
      weight: weight, bias: bias, runningMean: mean, runningVariance: variance, training: true, momentum: 0.3,
      epsilon: 1e-5)
    expectClose(result, affine(expected), 1e-13)
    expectClose(mean, channels.mean(1) * 0.3 + 0.7, 1e-14)
    let deviations = channels - channels.mean(1, keepDimensions: true)
    expectClose(variance, (deviations * deviations).sum(1) * (0.3 / 29) + 1.4, 1e-14)
  }

  @Test func batchNormOtherwiseUsesTheRunningStatistics() {
    let (mean, variance) = (Tensor([1.0, 2, 3, 4]), Tensor([0.5, 1, 2, 4]))
    let result = x.batchNorm(
      weight: weight, bias: bias, runningMean: mean, runningVariance: variance, training: false,
      momentum: 0.3,
      epsilon: 1e-3)
    let expected = (x - mean.reshape(1, 4, 1, 1)) / (variance + 1e-3).sqrt().reshape(1, 4, 1, 1)
    expectClose(result, affine(expected), 1e-13)
    expectEqual(mean, [1, 2, 3, 4], [4])
    expectEqual(variance, [0.5, 1, 2, 4], [4])
  }

  @Test func derivatives() {
    gradientCheck("norms", [x[0..<2, ..<4], weight, bias]) { inputs in
      let (x, w, b) = (inputs[0], inputs[1], inputs[2])
      return [
        x.groupNorm(groups: 2, weight: w, bias: b, epsilon: 1e-5),
        x.permute(0, 2, 3, 1).layerNorm([4], weight: w, bias: b, epsilon: 1e-5),
        x.permute(0, 2, 3, 1).rmsNorm([4], weight: w, epsilon: 1e-5),
        x.batchNorm(
          weight: w, bias: b, runningMean: nil, runningVariance: nil, training: true, momentum: 0.1,
          epsilon: 1e-5),
      ]
    }
  }
}
