import Backbones
import Layers
import Scan
import TestSupport
import Testing
import Torch

/// Properties that every SparX has, on networks small enough for seconds.
@Suite struct SparXModelTests {
  private func configuration(
    _ change: (inout SparX.Configuration) -> Void = { _ in }
  ) -> SparX.Configuration {
    var configuration = SparX.Configuration.published(
      depths: [1, 2, 3, 2], widths: [8, 12, 16, 20], stem: .threeConvolutions, stride: 2)
    change(&configuration)
    return configuration
  }

  private func images(_ height: Int = 32, _ width: Int = 32, batch: Int = 2) -> Tensor {
    .filled([batch, 3, height, width], key: "images", low: -2, high: 2, dtype: .float64)
  }

  private func model(_ configuration: SparX.Configuration, _ head: Head = .classifier(classes: 3))
    -> (store: ParameterStore, model: SparX)
  {
    let store = ParameterStore(seed: 7, dtype: .float64)
    let model = SparX(store.root, configuration, head: head)
    return (store, model)
  }

  @Test(arguments: [(33, 47), (64, 96), (224, 160), (32, 32)]) func oddSizes(_ height: Int, _ width: Int) {
    let (_, model) = model(configuration(), .none)
    let maps = withoutGradients { model.features(of: images(height, width, batch: 1)) }
    #expect(maps.count == model.featureInfo.count)
    for (map, info) in zip(maps, model.featureInfo) {
      let size = [height, width].map { ($0 + info.stride - 1) / info.stride }
      #expect(map.shape == [1, info.channels] + size, "\(info.name)")
      expectFinite(map, info.name)
    }
    #expect(model.featureInfo.map(\.name) == ["stage1", "stage2", "stage3", "stage4"])
    #expect(model.featureInfo.map(\.channels) == [8, 12, 16, 20])
    #expect(model.featureInfo.map(\.stride) == [4, 8, 16, 32])
  }

  @Test func tooSmallImagesAreASentence() {
    let (_, model) = model(configuration())
    let error = #expect(throws: TorchError.self) {
      try withTorchErrors { withoutGradients { _ = model(images(31, 64)) } }
    }
    #expect(
      error?.message.contains("at least 32 by 32 pixels, got 31 by 64") == true, "\(error?.message ?? "")")
  }

  @Test func headsShareTheNetwork() {
    let x = images(40, 33)
    let (classifier, classified) = model(configuration(), .classifier(classes: 3))
    let (dense, denseModel) = model(configuration(), .dense)
    let (bare, bareModel) = model(configuration(), .none)
    let keys = Set(bare.entries.map(\.key))
    #expect(keys.isSubset(of: Set(classifier.entries.map(\.key))))
    #expect(
      Set(dense.entries.map(\.key)).subtracting(keys)
        == Set((0..<4).flatMap { ["norm.\($0).weight", "norm.\($0).bias"] }))
    withoutGradients {
      #expect(classified(x).shape == [2, 3])
      let maps = bareModel.features(of: x)
      for (own, other) in zip(classified.features(of: x), maps) { expectClose(own, other, 0) }
      // Initial values depend on keys only, so the maps before the extra norms are the same too.
      for (own, other) in zip(denseModel.features(of: x), maps) {
        let channelsLast = other.permute(0, 2, 3, 1)
        let normed = channelsLast.layerNorm([other.size(1)], weight: nil, bias: nil, epsilon: 1e-6)
        expectClose(own, normed.permute(0, 3, 1, 2), 1e-12)
      }
      expectClose(bareModel(x), maps[3], 0)
    }
  }

  /// Variants of the connection and the mixer; each must run and train every parameter.
  enum Variant: String, CaseIterable {
    case published, plain, dense, concatenation, noShortcut, noReduction, unseenInput, ganglionInput,
      convolution
    case states, twoConvolutions
  }

  private func configuration(_ variant: Variant) -> SparX.Configuration {
    func change(_ change: (inout CrossLayerConnection) -> Void) -> SparX.Configuration {
      configuration { configuration in
        for index in configuration.stages.indices { change(&configuration.stages[index].connection) }
      }
    }
    switch variant {
    case .published: return configuration()
    case .plain: return change { $0 = .none }
    case .dense: return change { $0.reach = .dense }
    case .concatenation: return change { $0.aggregator = .concatenation }
    case .noShortcut:
      return change { connection in
        var aggregator = DynamicChannelAggregator.Configuration(reduction: 2)
        aggregator.shortcut = .none
        connection.aggregator = .dynamicChannels(aggregator)
      }
    case .noReduction: return change { $0.aggregator = .dynamicChannels(.init(reduction: 1)) }
    case .unseenInput: return change { $0.stageInput = .unseen }
    case .ganglionInput: return change { $0.stageInput = .ganglion }
    case .convolution: return configuration { $0.mixer = .convolution() }
    case .states: return configuration { $0.mixer = .scan2D(states: 4, expansion: 1, kernel: 3) }
    case .twoConvolutions: return configuration { $0.stem = .twoConvolutions }
    }
  }

  @Test(arguments: Variant.allCases) func everyParameterLearns(_ variant: Variant) throws {
    let (store, model) = model(configuration(variant))
    store.mode.isTraining = true
    // Parameters that start from zero or one make some gradients vanish: move them all.
    withoutGradients {
      for entry in store.entries where entry.kind == .parameter {
        let noise = Tensor.filled(entry.tensor.shape, key: entry.key, low: -0.3, high: 0.3, dtype: .float64)
        entry.tensor.copy(from: entry.tensor + noise)
      }
    }
    let logits = model(images(64, 64, batch: 4))
    let probe = Tensor.filled(logits.shape, key: "probe", dtype: .float64)
    (logits * probe).sum().backward()
    for entry in store.entries where entry.kind == .parameter {
      let gradient = try #require(entry.tensor.gradient, "\(entry.key)")
      expectFinite(gradient, entry.key)
      #expect(gradient.abs().max().item() > 0, "\(entry.key)")
    }
  }

  @Test func checkpointingChangesNothing() throws {
    struct Outcome {
      let output: Tensor
      let store: ParameterStore
    }
    func run(_ usesCheckpointing: Bool) -> Outcome {
      let (store, model) = model(configuration { $0.dropPath = 0.4 })
      store.mode.isTraining = true
      store.mode.usesCheckpointing = usesCheckpointing
      let logits = model(images(64, 64, batch: 4))
      logits.crossEntropy(Tensor([0, 1, 2, 0])).backward()
      return Outcome(output: logits.detached(), store: store)
    }
    let (own, expected) = (run(true), run(false))
    expectClose(own.output, expected.output, 1e-14, "logits")
    func size(_ gradient: Tensor?) throws -> Double { try #require(gradient).abs().max().item() }
    let largest = try expected.store.parameters.map { try size($0.gradient) }.max() ?? 0
    for (a, b) in zip(own.store.entries, expected.store.entries) {
      expectClose(a.tensor.detached().to(.float64), b.tensor.detached().to(.float64), 1e-14, a.key)
      if a.kind == .parameter {
        // Some gradients are 0 but for rounding, which depends on where memory lies.
        let isZero = try max(size(a.tensor.gradient), size(b.tensor.gradient)) < 1e-15 * largest
        if isZero { continue }
        expectClose(
          try #require(a.tensor.gradient), try #require(b.tensor.gradient), 1e-10, "gradient of \(a.key)")
      }
    }
  }

  @Test func dropPathActsInTrainingOnly() {
    let (store, model) = model(configuration { $0.dropPath = 0.5 })
    let (_, plain) = self.model(configuration())
    let x = images(32, 32, batch: 8)
    withoutGradients {
      expectClose(model(x), plain(x), 0, "evaluation")
      store.mode.isTraining = true
      // Batch statistics alone change outputs too, so two steps of the same training mode are compared.
      let first = model(x)
      store.mode.step = 1
      #expect(relativeError(model(x), first) > 1e-6)
      store.mode.step = 0
      expectClose(model(x), first, 1e-14, "the same step again")
    }
  }
}

@Suite struct CatalogTests {
  /// The multiply-adds and parameters at 224 by 224 pixels, counted from the official code.
  @Test(arguments: [
    (Architecture.sparxMambaTiny, 27_051_794, 5_253_995_648), (.sparxMambaSmall, 47_444_712, 9_260_366_432),
    (.sparxMambaBase, 83_536_168, 15_900_486_456),
  ])
  func publishedCounts(_ architecture: Architecture, _ parameters: Int, _ multiplyAdds: Int) throws {
    let model = architecture.makeModel()
    #expect(model.store.parameterCount == parameters)
    let counts = model.multiplyAdds(height: 224, width: 224)
    #expect(Set(counts.keys) == ["stem", "stage1", "stage2", "stage3", "stage4", "head"])
    #expect(counts.values.reduce(0, +) == multiplyAdds)
    let reported = try #require(architecture.publication?.reported?.multiplyAdds)
    #expect(abs(reported - Double(multiplyAdds) / 1e9) < 0.06)
  }

  @Test func countsDoNotDependOnTheScanKernel() {
    let model = Architecture.sparxMambaMicro.makeModel()
    let compiled = model.multiplyAdds(height: 64, width: 64)
    #expect(withScanKernel(.naive) { model.multiplyAdds(height: 64, width: 64) } == compiled)
  }

  @Test(arguments: Architecture.allCases) func preprocessingIsSane(_ architecture: Architecture) {
    let preprocessing = architecture.input
    #expect(preprocessing.size >= 32)
    #expect((0.5...1).contains(preprocessing.cropFraction))
    #expect(preprocessing.mean.count == 3 && preprocessing.deviation.allSatisfy { $0 > 0 })
  }
}
