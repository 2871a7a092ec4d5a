import Foundation
import Layers
import Scan
import TestSupport
import Testing
import Torch

@testable import Backbones

private let mixers = try? Fixture("vim_mixer", in: .module)

@Suite struct VisionMambaTests {
  @Test func referencesAreThere() throws { #expect(try #require(mixers).cases.count == 3) }

  @Test(arguments: mixers?.cases ?? [], ScanKernel.allCases)
  func mixer(_ expected: Fixture.Case, _ kernel: ScanKernel) throws {
    for (dtype, output, gradient) in [(DType.float64, 1e-11, 1e-11), (.float32, 2e-5, 2e-3)] {
      var configuration = VisionMamba.Configuration(depth: 1, width: try expected.attributes["d_model"].int())
      switch expected.name {
      case "vim_v2_div": configuration.directions = .averaged
      case "vim_v2_nodiv": configuration.directions = .summed
      default: configuration.directions = .forward
      }
      let store = ParameterStore(dtype: dtype)
      let mixer = BidirectionalMixer(store.root, configuration)
      store.loadAll(try expected.state())
      let inputs = try expected.inputs(dtype).mapValues { $0.requiringGradient() }
      try withScanKernel(kernel) {
        let y = mixer(try #require(inputs["hidden_states"]))
        expectClose(y, try expected.output(), output, "\(expected.testDescription) \(kernel) \(dtype)")
        let parameters = Dictionary(uniqueKeysWithValues: store.entries.map { ($0.key, $0.tensor) })
        try expectGradients(of: y, parameters.merging(inputs) { $1 }, match: expected, gradient)
      }
    }
  }

  private func configuration(_ change: (inout VisionMamba.Configuration) -> Void) -> VisionMamba.Configuration
  {
    var configuration = VisionMamba.Configuration(depth: 1, width: 8)
    change(&configuration)
    return configuration
  }

  /// Tokens `[2, 9, 8]`.
  private let tokens = Tensor.filled([2, 9, 8], key: "tokens", low: -2, high: 2, dtype: .float64)

  @Test func oneDirectionIsCausal() {
    let store = ParameterStore(seed: 1, dtype: .float64)
    let mixer = BidirectionalMixer(store.root, configuration { $0.directions = .forward })
    withoutGradients {
      let whole = mixer(tokens)
      let start = mixer(tokens[..., 0..<5])
      expectClose(start, whole[..., 0..<5], 1e-13, "the first tokens do not see the last")
    }
  }

  @Test func equalDirectionsTurnWithTheTokens() throws {
    let store = ParameterStore(seed: 1, dtype: .float64)
    let mixer = BidirectionalMixer(store.root, configuration { _ in })
    try withoutGradients {
      for entry in store.entries {
        let twin = entry.key.replacingOccurrences(of: "_b", with: "")
        if twin == entry.key { continue }
        entry.tensor.copy(from: try #require(store[twin], "\(twin)").tensor)
      }
      expectClose(mixer(tokens.flip(1)), mixer(tokens).flip(1), 1e-13)
    }
  }

  /// Half as many pixels between patches: 27 by 27 positions of 224 by 224 pixels, and a class token among them.
  @Test func strideOfPlus() throws {
    var configuration = try #require(Architecture.visionMambaTiny.configuration as? VisionMamba.Configuration)
    configuration.stride = 8
    let model = Architecture.visionMambaTiny.makeModel(configuration, device: .meta)
    #expect(model.store["pos_embed"]?.tensor.shape == [1, 730, 192])
    #expect(model.store.parameterCount == 7_148_008 + (730 - 197) * 192)
    let map = withoutGradients { model.backbone.features(of: .zeros([1, 3, 224, 224], device: .meta))[0] }
    #expect(map.shape == [1, 192, 27, 27])
  }
}
