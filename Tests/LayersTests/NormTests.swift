import Layers
import TestSupport
import Testing
import Torch

private let norms = try? Fixture("norms", in: .module)

@Suite struct NormTests {
  @Test func isThere() throws { #expect(try #require(norms).cases.count == 4) }

  @Test(arguments: norms?.cases ?? []) func officialOutputsAndGradients(_ expected: Fixture.Case) throws {
    for (dtype, tolerance) in [(DType.float64, 1e-11), (.float32, 2e-5)] {
      let store = ParameterStore(dtype: dtype)
      let channels = try expected.attributes["channels"].int()
      let layer: any Layer
      switch expected.name {
      case "groupnorm1": layer = GroupNorm(store.root, channels)
      case "layernorm2d": layer = LayerNorm2d(store.root, channels, epsilon: 1e-5)
      case "layernorm2d_eps1e-6": layer = LayerNorm2d(store.root, channels, epsilon: 1e-6)
      case "layerscale": layer = ChannelScale(store.root, channels, initialValue: 1)
      default:
        Issue.record("no layer is known for the case '\(expected.name)'")
        return
      }
      try store.load(expected.state())
      let x = try expected.input("input", dtype).requiringGradient()
      let output = layer(x)
      expectClose(output, try expected.output(), tolerance, expected.testDescription)
      var variables = Dictionary(uniqueKeysWithValues: store.entries.map { ($0.key, $0.tensor) })
      variables["input"] = x
      try expectGradients(of: output, variables, match: expected, tolerance)
    }
  }

  @Test func rootMeanSquareOfASum() throws {
    let expected = try #require(try Fixture("rmsnorm_add", in: .module).cases.first)
    for (dtype, tolerance) in [(DType.float64, 1e-11), (.float32, 2e-5)] {
      let inputs = try expected.inputs(dtype).mapValues { $0.requiringGradient() }
      let (x, residual) = (try #require(inputs["x"]), try #require(inputs["residual"]))
      let sum = x + residual
      let normed = sum.rmsNorm([sum.size(-1)], weight: inputs["weight"], epsilon: 1e-5)
      let output = concatenate([normed.flatten(), sum.flatten()], along: 0)
      expectClose(output, try expected.output(), tolerance)
      try expectGradients(of: output, inputs, match: expected, tolerance)
    }
  }
}

@Suite struct BatchNormTests {
  private func sample(_ step: Int = 0) -> Tensor {
    .filled([4, 3, 5, 2], key: "batch \(step)", low: -1, high: 3, dtype: .float64)
  }

  @Test func trainingUsesAndGathersBatchStatistics() {
    let store = ParameterStore(dtype: .float64)
    let norm = BatchNorm2d(store.root, 3, momentum: 0.25)
    store.mode.isTraining = true
    var (mean, variance) = (Tensor.zeros([3], dtype: .float64), Tensor.ones([3], dtype: .float64))
    for step in 0..<3 {
      let x = sample(step)
      let y = withoutGradients { norm(x) }
      expectClose(y.mean(0, 2, 3), .zeros([3], dtype: .float64), 1e-12)
      let columns = x.transpose(0, 1).flatten(from: 1)  // [C, B·H·W]
      let batchMean = columns.mean(1)
      let squares = (columns - batchMean.unsqueeze(1)) * (columns - batchMean.unsqueeze(1))
      // The running variance is the unbiased one.
      let batchVariance = squares.sum(1) / Double(columns.size(1) - 1)
      mean = mean * 0.75 + batchMean * 0.25
      variance = variance * 0.75 + batchVariance * 0.25
    }
    expectClose(norm.runningMean, mean, 1e-12)
    expectClose(norm.runningVariance, variance, 1e-12)
    #expect(store["num_batches_tracked"]?.tensor.itemInt() == 3)
  }

  @Test func evaluationUsesRunningStatisticsAndKeepsThem() {
    let store = ParameterStore(dtype: .float64)
    let norm = BatchNorm2d(store.root, 3)
    withoutGradients {
      norm.runningMean.copy(from: Tensor([1.0, 2, 3]))
      norm.runningVariance.copy(from: Tensor([4.0, 1, 0.25]))
      norm.weight.copy(from: Tensor([1.0, -1, 2]))
      norm.bias.copy(from: Tensor([0.0, 10, 20]))
    }
    let x = sample()
    func row(_ values: [Double]) -> Tensor { Tensor(values, [1, 3, 1, 1]) }
    let deviation = row([4, 1, 0.25].map { ($0 + 1e-5).squareRoot() })
    expectClose(norm(x), (x - row([1, 2, 3])) / deviation * row([1, -1, 2]) + row([0, 10, 20]), 1e-14)
    expectEqual(norm.runningMean, [1, 2, 3], [3])
    #expect(store["num_batches_tracked"]?.tensor.itemInt() == 0)
  }

  @Test func recomputationDoesNotGatherTwice() throws {
    func run(checkpointed: Bool) throws -> (store: ParameterStore, gradient: Tensor) {
      let store = ParameterStore(dtype: .float64)
      let norm = BatchNorm2d(store.root, 3)
      store.mode.isTraining = true
      let x = sample().requiringGradient()
      let y = checkpointed ? checkpoint([x], parameters: store.parameters) { [norm($0[0])] }[0] : norm(x)
      (y * y * y).sum().backward()
      return (store, try #require(x.gradient))
    }
    let (plain, expected) = try run(checkpointed: false)
    let (repeated, gradient) = try run(checkpointed: true)
    expectClose(gradient, expected, 1e-12)
    for (a, b) in zip(repeated.entries, plain.entries) {
      expectClose(a.tensor.to(.float64), b.tensor.to(.float64), 0, a.key)
      if a.kind == .parameter {
        expectClose(try #require(a.tensor.gradient), try #require(b.tensor.gradient), 1e-12)
      }
    }
    #expect(repeated["num_batches_tracked"]?.tensor.itemInt() == 1)
  }
}
