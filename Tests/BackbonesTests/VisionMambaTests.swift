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
  @Test(arguments: [
    (Architecture.visionMambaTinyPlus, Architecture.visionMambaTiny),
    (.visionMambaSmallPlus, .visionMambaSmall),
  ]) func strideOfPlus(_ plus: Architecture, _ plain: Architecture) throws {
    let (model, other) = (plus.makeModel(device: .meta), plain.makeModel(device: .meta))
    let width = try #require(plus.configuration.widths.first)
    #expect(plus.configuration.widths == plain.configuration.widths)
    #expect(model.store.entries.map(\.key) == other.store.entries.map(\.key))
    #expect(model.store["pos_embed"]?.tensor.shape == [1, 730, width])
    #expect(model.store.parameterCount == other.store.parameterCount + (730 - 197) * width)
    for (size, expected) in [((224, 224), [27, 27]), ((250, 199), [31, 24])] as [((Int, Int), [Int])] {
      let images = Tensor.zeros([1, 3, size.0, size.1], device: .meta)
      let map = withoutGradients { model.backbone.features(of: images)[0] }
      #expect(map.shape == [1, width] + expected)
      #expect(model.backbone.featureInfo.map { [size.0, size.1].map($0.positions) } == [expected])
    }
  }

  /// Fine-tuning starts from a network with whole patches between patches, as the authors do.
  @Test func plusStartsFromWholeStrides() throws {
    func model(_ stride: Int) -> Model {
      var configuration = VisionMamba.Configuration(depth: 1, width: 8)
      configuration.stride = stride
      return Architecture.visionMambaTinyPlus.makeModel(
        configuration, head: .classifier(classes: 3), seed: 3, dtype: .float64)
    }
    let (plain, plus) = (model(16), model(8))
    let values = Dictionary(uniqueKeysWithValues: plain.store.entries.map { ($0.key, $0.tensor.detached()) })
    let report = try plus.store.load(adapting: values, from: "vim.pth")
    let change = try #require(report.changes.first)
    #expect(report.changes.count == 1 && change.key == "pos_embed")
    #expect(change.given == [1, 197, 8] && change.shape == [1, 730, 8])
    #expect(report.loaded.count == values.count - 1)
    let (given, table) = (try #require(values["pos_embed"]), try #require(plus.store["pos_embed"]).tensor)
    // The class token's vector, in the middle of both tables, is kept; the others are a map, enlarged.
    expectClose(table[..., 364], given[..., 98], 1e-6, "class token")
    let map = PositionGrid(height: 14, width: 14, extra: .middle).map(of: given)
      .resized(27, 27, .bicubic(antialias: true))
    expectClose(PositionGrid(height: 27, width: 27, extra: .middle).map(of: table), map, 1e-5, "map")
    for (height, width) in [(224, 224), (97, 130)] {
      let images = Tensor.filled([1, 3, height, width], key: "images", dtype: .float64)
      expectFinite(withoutGradients { plus.backbone(images) }, "\(height) by \(width)")
    }
  }
}
