import Layers
import Scan
import TestSupport
import Testing
import Torch

@testable import Backbones

private let operators = try? Fixture("mambavision", in: .module)

@Suite struct MambaVisionTests {
  private func configuration(headWidth: Int = 8) -> MambaVision.Configuration {
    MambaVision.Configuration(depths: [2], widths: [16], stemWidth: 8, headWidth: headWidth)
  }

  /// What a case of the fixture is of, declared in a store, and the name of its input.
  private func layer(_ name: String, _ scope: Scope) -> (layer: any Layer, input: String) {
    switch name {
    case "mv_mixer": return (MambaVisionMixer(scope, 16, states: 8), "hidden_states")
    case "mv_attention": return (MultiHeadAttention(scope, 16, heads: 4), "x")
    case "mv_convblock": return (MambaVisionConvolution(scope, 8, dropPath: 0), "x")
    default:
      let stage = MambaVisionStage(
        scope["blocks"], configuration(), width: 16, window: 4, dropPaths: [0, 0])
      let downsample = Conv2d(scope["downsample.reduction.0"], 16, 32, kernel: 3, stride: 2, bias: false)
      return (PaddedStage(stage: stage, downsample: downsample), "x")
    }
  }

  private struct PaddedStage: Layer {
    let stage: MambaVisionStage
    let downsample: Conv2d
    func callAsFunction(_ x: Tensor) -> Tensor { downsample(stage(x)) }
  }

  @Test func referencesAreThere() throws {
    #expect(try #require(operators).cases.count == 4)
  }

  @Test(arguments: operators?.cases ?? [], ScanKernel.allCases)
  func partsAreThePublished(_ expected: Fixture.Case, _ kernel: ScanKernel) throws {
    for (dtype, output, gradient) in [(DType.float64, 1e-11, 1e-11), (.float32, 2e-5, 2e-3)] {
      let store = ParameterStore(dtype: dtype)
      let (layer, name) = layer(expected.name, store.root)
      store.loadAll(try expected.state())
      let x = try expected.input(name, dtype).requiringGradient()
      let y = withScanKernel(kernel) { layer(x) }
      expectClose(y, try expected.output(), output, expected.testDescription)
      var variables = Dictionary(
        uniqueKeysWithValues: store.entries.filter { $0.kind == .parameter }.map { ($0.key, $0.tensor) })
      variables[name] = x
      try expectGradients(of: y, variables, match: expected, gradient)
    }
  }

  /// Of an odd number of blocks the middle one scans.
  @Test(arguments: [(1, 1), (2, 1), (5, 3), (8, 4)]) func theFirstHalfScans(_ depth: Int, _ scans: Int) {
    let store = ParameterStore()
    _ = MambaVisionStage(
      store.root, configuration(), width: 16, window: 2, dropPaths: Array(repeating: 0, count: depth))
    for index in 0..<depth {
      #expect((store["\(index).mixer.A_log"] != nil) == (index < scans), "block \(index)")
      #expect((store["\(index).mixer.qkv.weight"] != nil) == (index >= scans), "block \(index)")
    }
  }

  /// The authors draw the time step's usual start and overwrite it with their rule for linear layers.
  @Test func timeStepsStartFromZero() throws {
    let store = Architecture.mambaVisionMicro.makeModel().store
    let bias = try #require(store["levels.2.blocks.0.mixer.dt_proj.bias"]).tensor
    expectClose(bias.detached(), bias.zerosLike(), 0)
    #expect(
      try #require(store["levels.2.blocks.0.mixer.dt_proj.weight"]).tensor.detached().deviation().item()
        < 0.03)
  }

  /// Published figures at the models' own sizes; the authors' counts leave the products of the attention out.
  @Test(arguments: [
    Architecture.mambaVisionBase21K, .mambaVisionLarge21K, .mambaVisionLarge2At512, .mambaVisionLarge3At256,
    .mambaVisionLarge3At512,
  ]) func countsAreThePublished(_ architecture: Architecture) throws {
    let reported = try #require(architecture.publication?.reported)
    let printed = try #require(reported.multiplyAdds)
    let model = architecture.makeModel(device: .meta)
    #expect(abs(Double(model.store.parameterCount) / 1e6 - reported.parameters) < 0.1)
    let (height, width) = architecture.input.imageSize
    let counted = model.multiplyAdds(height: height, width: width).values.reduce(0, +)
    let configuration = try #require(architecture.configuration as? MambaVision.Configuration)
    let attended = configuration.windows.enumerated().reduce(0) { sum, stage in
      guard let side = stage.element else { return sum }
      // One window is the whole map of these models.
      return sum + configuration.depths[stage.offset] / 2 * 2 * side * side * side * side
        * configuration.widths[stage.offset]
    }
    let multiplyAdds = Double(counted - attended) / 1e9
    #expect(abs(multiplyAdds / printed - 1) < 3e-3, "\(multiplyAdds)")
  }
}
