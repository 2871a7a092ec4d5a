import Layers
import TestSupport
import Testing
import Torch

@testable import Backbones

private func images(_ height: Int = 64, _ width: Int = 64, batch: Int = 2) -> Tensor {
  .filled([batch, 3, height, width], key: "images", low: -2, high: 2, dtype: .float64)
}

/// A first layer's place in a stage of maps of that size, or that of a later one.
private func place(layer: Int = 0, _ height: Int = 4, _ width: Int = 4) -> SparXPlace {
  SparXPlace(stage: 0, layer: layer, sources: nil, height: height, width: width)
}

private let stage = SparX.Stage(depth: 2, width: 8, connection: .none)

@Suite struct SparXMixersCatalogTests {
  @Test(arguments: [
    (Architecture.sparxSwinTiny, 26_708_108, 4_680_660_864),
    (.sparxSwinTinyPlain, 18_545_620, 3_635_099_648), (.sparxSwinBase, 85_144_043, 16_009_126_308),
    (.sparxSwinBasePlain, 62_198_712, 12_227_826_688), (.sparxScanTiny, 25_544_978, 4_810_126_208),
    (.sparxScanTinyPlain, 19_197_720, 3_943_818_752),
    (.sparxTwoWayScanTiny, 25_916_690, 4_913_990_528),
    (.sparxTwoWayScanTinyPlain, 19_569_432, 4_047_683_072),
  ])
  func counts(_ architecture: Architecture, _ parameters: Int, _ multiplyAdds: Int) {
    let model = architecture.makeModel(device: .meta)
    #expect(model.store.parameterCount == parameters)
    #expect(model.multiplyAdds(height: 224, width: 224).values.reduce(0, +) == multiplyAdds)
  }

  /// Section 4.5 asks for Swin's cost.
  @Test(arguments: [(Architecture.sparxSwinTiny, Architecture.swinTiny), (.sparxSwinBase, .swinBase)])
  func sparXSwinCostsWhatSwinDoes(_ architecture: Architecture, _ swin: Architecture) throws {
    let reported = try #require(swin.publication?.reported)
    let model = architecture.makeModel(device: .meta)
    let multiplyAdds = model.multiplyAdds(height: 224, width: 224).values.reduce(0, +)
    #expect(abs(Double(model.store.parameterCount) / 1e6 / reported.parameters - 1) < 0.05)
    #expect(try abs(Double(multiplyAdds) / 1e9 / #require(reported.multiplyAdds) - 1) < 0.05)
  }

  @Test(arguments: [
    Architecture.sparxSwinMicro, .sparxMambaOutMicro, .sparxMambaVisionMicro, .sparxTransXNetMicro,
  ])
  func smallModelsAreSmall(_ architecture: Architecture) {
    #expect(architecture.makeModel(device: .meta).store.parameterCount < 1_500_000)
    #expect(architecture.input.size == 64)
  }

  static let tiny = ["- -", "- input,0", "input - 1,0 - 3,0,2 - 5,0,2,4", "input 0"]
  static let micro = ["-", "- input,0", "input - 1,0", "input 0"]
  static let base = [
    "- -", "- input,0",
    "- - input,0,1 - - 3,4,2 - - 6,7,2,5 - - 9,10,2,5,8 - - 12,13,5,8,11 - - 15,16,8,11,14"
      + " - - 18,19,11,14,17 - - 21,22,14,17,20 - - 24,25,17,20,23",
    "- - input,0,1",
  ]
  static let basePlain = [2, 2, 27, 3].map { Array(repeating: "-", count: $0).joined(separator: " ") }
  static let plain = ["- -", "- -", "- - - - - - -", "- -"]

  @Test(arguments: [
    (Architecture.sparxSwinTiny, tiny), (.sparxScanTiny, tiny), (.sparxTwoWayScanTiny, tiny),
    (.sparxSwinTinyPlain, plain), (.sparxScanTinyPlain, plain), (.sparxTwoWayScanTinyPlain, plain),
    (.sparxSwinMicro, micro), (.sparxMambaOutMicro, micro), (.sparxMambaVisionMicro, micro),
    (.sparxTransXNetMicro, micro),
    (.sparxSwinBase, base), (.sparxSwinBasePlain, basePlain),
  ])
  func wirings(_ architecture: Architecture, _ expected: [String]) {
    let own = architecture.makeModel(device: .meta).backbone.wiring.map { wiring in
      wiring.sources.map { $0.map { $0.map(\.description).joined(separator: ",") } ?? "-" }
        .joined(separator: " ")
    }
    #expect(own == expected)
  }
}

@Suite struct SparXMixerTests {
  /// The shifted windows of the second of two layers, and the scans, are mixers like the others.
  private func mixer(
    _ mixer: SparX.Mixer, layer: Int = 0, _ height: Int = 4, _ width: Int = 4
  ) -> (store: ParameterStore, mix: any Layer) {
    let store = ParameterStore(seed: 3, dtype: .float64)
    let (_, mix) = mixer.make(store.root, stage, at: place(layer: layer, height, width))
    withoutGradients {
      for entry in store.entries where entry.kind == .parameter {
        entry.tensor.copy(
          from: entry.tensor
            + .filled(entry.tensor.shape, key: entry.key, low: -0.3, high: 0.3, dtype: .float64))
      }
    }
    return (store, mix)
  }

  private func map(_ height: Int = 4, _ width: Int = 4) -> Tensor {
    .filled([2, 8, height, width], key: "map", low: -2, high: 2, dtype: .float64)
  }

  @Test(arguments: [
    (96, 3), (192, 6), (320, 10), (576, 18), (120, 5), (240, 10), (396, 11), (616, 22), (4, 1),
  ])
  func headsAreNearThirtyTwoChannelsWide(_ width: Int, _ heads: Int) {
    #expect(SparX.Mixer.heads(of: width, near: 32) == heads)
  }

  @Test func widthsWithoutHeadsTrap() async {
    await #expect(processExitsWith: .failure) { _ = SparX.Mixer.heads(of: 18, near: 32) }
  }

  /// One window that holds the whole map: every position attends to every other, with a bias for each offset.
  @Test func oneWindowIsGlobalAttention() throws {
    let (store, mix) = mixer(.windowAttention(side: 4, headWidth: 4))
    func value(_ key: String) throws -> Tensor { try #require(store[key]).tensor }
    try withoutGradients {
      let tokens = map().flatten(from: 2).transpose(1, 2)  // [2, 16, 8]
      let parts = tokens.linear(try value("qkv.weight"), bias: try value("qkv.bias"))
        .reshape(2, 16, 3, 2, 4).permute(2, 0, 3, 1, 4)  // [3, B, heads, positions, channels]
      let table = try value("relative_position_bias_table")
      let rows = (0..<16).map { query in
        let biases = (0..<16).map { key in
          let (down, right) = (query / 4 - key / 4, query % 4 - key % 4)
          return table[(down + 3) * 7 + right + 3]
        }
        return stack(biases, along: 0)
      }
      let bias = stack(rows, along: 0).permute(2, 0, 1)  // [heads, 16, 16]
      let weights = (parts[0].matmul(parts[1].transpose(2, 3)) / 2 + bias).softmax(3)
      let attended = weights.matmul(parts[2]).transpose(1, 2).reshape(2, 16, 8)
      let expected = attended.linear(try value("proj.weight"), bias: try value("proj.bias"))
      expectClose(mix(map()), expected.transpose(1, 2).reshape(2, 8, 4, 4), 1e-12)
    }
  }

  @Test(arguments: [(5, 7), (4, 9), (3, 2)]) func windowsArePaddedWithZeros(_ height: Int, _ width: Int) {
    let (_, mix) = mixer(.windowAttention(side: 4, headWidth: 4))
    let x = map(height, width)
    withoutGradients {
      let padded = mix(x.padded([0, (4 - width % 4) % 4, 0, (4 - height % 4) % 4]))
      let expected = padded.narrow(2, from: 0, length: height).narrow(3, from: 0, length: width)
      expectClose(mix(x), expected, 1e-13)
    }
  }

  /// What the first position changes: its window in the first layer, its shifted window in the second.
  @Test(arguments: [
    (0, 8, "111100001111000011110000111100000000000000000000000000000000 0000"),
    (1, 8, "11000000110000000000000000000000000000000000000000000000 00000000"), (1, 4, "1111111111111111"),
  ])
  func everyOtherLayerShifts(_ layer: Int, _ side: Int, _ reached: String) {
    let (_, mix) = mixer(.windowAttention(side: 4, headWidth: 4), layer: layer)
    let x = map(side, side)
    let place = Tensor.zeros([2, 8, side, side], dtype: .float64)
    withoutGradients {
      place.select(3, 0).select(2, 0).copy(from: Tensor.ones([2, 8], dtype: .float64))
      let difference = (mix(x + place) - mix(x)).abs().sum(0, 1).flatten()
      let own = difference.array(Double.self).map { $0 > 1e-9 ? "1" : "0" }.joined()
      #expect(own == reached.filter { $0 != " " })
    }
  }

  /// A map turned by half a circle is its sequence of positions read backwards.
  @Test func theTwoWaysTradePlacesWhenTheMapIsTurned() throws {
    let (store, mix) = mixer(.scan1D(.averaged))
    let (turnedStore, turned) = mixer(.scan1D(.averaged))
    try withoutGradients {
      for entry in turnedStore.entries {
        let twin =
          entry.key.contains("_b.") || entry.key.contains("_b_") || entry.key.hasSuffix("_b")
          ? entry.key.replacing("_b", with: "")
          : ["A_log": "A_b_log", "D": "D_b"][entry.key]
            ?? entry.key.replacing("x_proj.", with: "x_proj_b.").replacing("dt_proj.", with: "dt_proj_b.")
        entry.tensor.copy(from: try #require(store[twin], "\(twin)").tensor)
      }
      let x = Tensor.filled([2, 16, 3, 5], key: "map", low: -2, high: 2, dtype: .float64)
      expectClose(turned(x.flip(2, 3)).flip(2, 3), mix(x), 1e-13)
      #expect(relativeError(mix(x.flip(2, 3)).flip(2, 3), mix(x)) > 1e-3)
    }
  }

  /// What positions after a change see of it: of a scan without its norm, all of them and no earlier one.
  @Test func scansSeeWhatTheyPassed() throws {
    for (directions, before) in [(VisionMamba.Directions.forward, "0"), (.averaged, "1"), (.summed, "1")] {
      let (_, mix) = mixer(.scan1D(directions))
      let scan = try #require(mix as? Scan1DMixer).scan
      let x = Tensor.filled([2, 16, 15], key: "sequence", low: -2, high: 2, dtype: .float64)
      withoutGradients {
        let changed = concatenate(
          [
            x.narrow(2, from: 0, length: 7), -x.narrow(2, from: 7, length: 1),
            x.narrow(2, from: 8, length: 7),
          ],
          along: 2)
        let difference = (scan(changed, gate: nil) - scan(x, gate: nil)).abs().sum(0, 1)
        let own = difference.array(Double.self).map { $0 > 0 ? "1" : "0" }.joined()
        #expect(own == String(repeating: before, count: 7) + String(repeating: "1", count: 8))
      }
    }
  }

  /// A window that holds the whole map is MambaVision's mixer over its positions; two windows are two of them.
  @Test func windowsAreScannedApart() throws {
    let (_, mix) = mixer(.windowScan(side: 4), 4, 8)
    let inner = try #require(mix as? WindowScanMixer).mixer
    let x = map(4, 8)
    withoutGradients {
      let halves = [0, 4].map { start in
        inner(x.narrow(3, from: start, length: 4).flatten(from: 2).transpose(1, 2))
          .transpose(1, 2).reshape(2, 8, 4, 4)
      }
      expectClose(mix(x), concatenate(halves, along: 3), 1e-13)
    }
  }

  /// The family's own block is its norm, this mixer and a shortcut.
  @Test func theGatedConvolutionIsMambaOuts() throws {
    let (store, mix) = mixer(.gatedConvolution())
    let own = ParameterStore(dtype: .float64)
    let block = GatedConvolution(own.root, 8, .init(depths: [1], widths: [8]), dropPath: 0)
    try withoutGradients {
      for entry in store.entries { try #require(own[entry.key]).tensor.copy(from: entry.tensor) }
      let x = map(5, 6)
      let normed = x.permute(0, 2, 3, 1).layerNorm([8], weight: nil, bias: nil, epsilon: 1e-6)
      expectClose(block(x), x + mix(normed.permute(0, 3, 1, 2)), 1e-13)
    }
  }

  /// Biases are a table for one size, resized for others.
  @Test func theDynamicMixerIsTransXNets() throws {
    let (store, mix) = mixer(.dualDynamic(headWidth: 4, kernel: 3), 8, 16)
    let dynamic = try #require(mix as? DualDynamicMixer)
    #expect(store["relative_pos_enc"]?.tensor.shape == [1, 1, 128, 2])
    withoutGradients {
      let x = map(8, 16)
      expectClose(mix(x), dynamic.scale(dynamic.mixer(x, bias: dynamic.table.table)), 0)
      let other = map(9, 11)
      let resized = dynamic.table.table.resized(99, 4, .bicubic())
      expectClose(mix(other), dynamic.scale(dynamic.mixer(other, bias: resized)), 1e-13)
    }
  }
}

/// Properties of every mixer that the paper or another family gives, in networks small enough for seconds.
@Suite struct SparXOnOtherMixersTests {
  enum Network: String, CaseIterable, Sendable {
    case swin, mambaOut, mambaVision, transXNet, scan, twoWayScan, plain

    private var catalogued: any BackboneConfiguration {
      func change(_ change: (inout SparX.Configuration) -> Void) -> any BackboneConfiguration {
        guard var configuration = Architecture.sparxSwinMicro.configuration as? SparX.Configuration else {
          return Architecture.sparxSwinMicro.configuration
        }
        change(&configuration)
        return configuration
      }
      switch self {
      case .swin: return Architecture.sparxSwinMicro.configuration
      case .mambaOut: return Architecture.sparxMambaOutMicro.configuration
      case .mambaVision: return Architecture.sparxMambaVisionMicro.configuration
      case .transXNet: return Architecture.sparxTransXNetMicro.configuration
      case .scan: return change { $0.mixer = .scan1D() }
      case .twoWayScan: return change { $0.mixer = .scan1D(.averaged, states: 4, expansion: 1) }
      case .plain:
        return change {
          for index in $0.stages.indices { $0.stages[index].connection = .none }
        }
      }
    }

    private var configuration: any BackboneConfiguration {
      var configuration = catalogued
      configuration.depths = [1, 2, 2, 1]
      configuration.widths = [8, 16, 24, 32]
      return configuration
    }

    /// Whatever the network is called, only its configuration counts. Every tensor of it matters.
    func model(
      _ head: Head = .classifier(classes: 3), dropPath: Double = 0, dtype: DType = .float64
    ) -> Model {
      let model = Architecture.sparxSwinMicro.makeModel(
        configuration, head: head, dropPath: dropPath, seed: 7, dtype: dtype)
      withoutGradients {
        for entry in model.store.entries where entry.kind == .parameter {
          let noise = Tensor.filled(entry.tensor.shape, key: entry.key, low: -0.2, high: 0.2, dtype: dtype)
          entry.tensor.copy(from: entry.tensor + noise)
        }
      }
      return model
    }
  }

  @Test(arguments: Network.allCases, [(33, 47), (64, 96), (100, 61), (32, 32)])
  func oddSizes(_ network: Network, _ size: (Int, Int)) {
    let backbone = network.model(.none).backbone
    let maps = withoutGradients { backbone.features(of: images(size.0, size.1, batch: 1)) }
    #expect(maps.count == backbone.featureInfo.count)
    for (map, info) in zip(maps, backbone.featureInfo) {
      let positions = [size.0, size.1].map { ($0 + info.stride - 1) / info.stride }
      #expect(map.shape == [1, info.channels] + positions, "\(info.name)")
      expectFinite(map, info.name)
    }
    #expect(backbone.featureInfo.map(\.channels) == [8, 16, 24, 32])
  }

  @Test(arguments: Network.allCases) func headsShareTheNetwork(_ network: Network) {
    let x = images(70, 64)
    let (classified, dense, bare) = (network.model(), network.model(.dense), network.model(.none))
    withoutGradients {
      #expect(classified.backbone(x).shape == [2, 3])
      let maps = bare.backbone.features(of: x)
      for (own, other) in zip(classified.backbone.features(of: x), maps) { expectClose(own, other, 0) }
      #expect(dense.backbone.features(of: x).map(\.shape) == maps.map(\.shape))
      expectClose(bare.backbone(x), maps[3], 0)
    }
  }

  @Test(arguments: Network.allCases) func imagesDoNotSeeEachOther(_ network: Network) {
    let backbone = network.model().backbone
    let x = images(64, 48, batch: 3)
    withoutGradients {
      let alone = (0..<3).map { backbone(x.narrow(0, from: $0, length: 1)) }
      expectClose(backbone(x), concatenate(alone, along: 0), 1e-11)
    }
  }

  /// In bfloat16 too, where products, scans and norms have types of their own.
  @Test(arguments: Network.allCases, [DType?.none, .bfloat16])
  func everyParameterLearns(_ network: Network, _ dtype: DType?) throws {
    let model = network.model(dtype: .float32)
    model.store.mode.isTraining = true
    let x = images(72, 64, batch: 4).to(.float32)
    let logits = withAutocast(dtype, on: .cpu) { model.backbone(x) }
    (logits.to(.float32) * Tensor.filled(logits.shape, key: "probe")).sum().backward()
    for entry in model.store.entries where entry.kind == .parameter {
      let gradient = try #require(entry.tensor.gradient, "\(entry.key)")
      expectFinite(gradient, entry.key)
      #expect(gradient.abs().max().item() > 0, "\(entry.key)")
    }
  }

  @Test(arguments: Network.allCases) func checkpointingChangesNothing(_ network: Network) throws {
    func run(_ usesCheckpointing: Bool) -> (output: Tensor, store: ParameterStore) {
      let model = network.model(dropPath: 0.4)
      model.store.mode.isTraining = true
      model.store.mode.usesCheckpointing = usesCheckpointing
      let logits = model.backbone(images(70, 64, batch: 4))
      logits.crossEntropy(Tensor([0, 1, 2, 0])).backward()
      return (logits.detached(), model.store)
    }
    let (own, expected) = (run(true), run(false))
    expectClose(own.output, expected.output, 1e-13, "logits")
    func size(_ gradient: Tensor?) throws -> Double { try #require(gradient).abs().max().item() }
    let largest = try expected.store.parameters.map { try size($0.gradient) }.max() ?? 0
    #expect(largest > 0)
    for (a, b) in zip(own.store.entries, expected.store.entries) {
      expectClose(a.tensor.detached().to(.float64), b.tensor.detached().to(.float64), 1e-13, a.key)
      if a.kind != .parameter { continue }
      let (gradient, reference) = (try #require(a.tensor.gradient), try #require(b.tensor.gradient))
      let difference = (gradient - reference).abs().max().item()
      #expect(try difference <= 1e-10 * max(size(reference), 1e-4 * largest), "gradient of \(a.key)")
    }
  }

  @Test(arguments: Network.allCases) func dropPathActsInTrainingOnly(_ network: Network) {
    let (model, plain) = (network.model(dropPath: 0.5), network.model())
    let x = images(64, 64, batch: 4)
    withoutGradients {
      expectClose(model.backbone(x), plain.backbone(x), 0, "evaluation")
      model.store.mode.isTraining = true
      let first = model.backbone(x)
      model.store.mode.step = 1
      #expect(relativeError(model.backbone(x), first) > 1e-6)
      model.store.mode.step = 0
      expectClose(model.backbone(x), first, 1e-13, "the same step again")
    }
  }

  @Test(arguments: Network.allCases, [Head.classifier(classes: 3), .dense])
  func preparedModelsComputeTheSame(_ network: Network, _ head: Head) {
    let plain = network.model(head)
    withoutGradients {
      let x = images(61, 70, batch: 3)
      let prepared = plain.prepared().backbone
      expectClose(withPoisonedAllocations { prepared(x) }, plain.backbone(x), 1e-11)
      for (own, expected) in zip(prepared.features(of: x), plain.backbone.features(of: x)) {
        expectClose(own, expected, 1e-11)
      }
    }
  }
}
