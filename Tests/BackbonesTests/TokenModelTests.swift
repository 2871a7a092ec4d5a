import Backbones
import Layers
import TestSupport
import Testing
import Torch

/// Properties of every network that sees an image as tokens, on networks small enough for seconds.
@Suite struct TokenModelTests {
  enum Network: String, CaseIterable, Sendable {
    case deit, vim, vimForward, vimSummed, vimFirstToken, vimEndTokens, vimLastPosition, vimMean, vimMaximum
    case vimPlus

    /// Three blocks of 8 channels over patches of 8 pixels.
    func configuration(dropPath: Double = 0) -> any BackboneConfiguration {
      if self == .deit {
        var configuration = DeiT.Configuration(depth: 3, width: 8)
        configuration.headWidth = 4
        configuration.patch = 8
        configuration.dropPath = dropPath
        return configuration
      }
      var configuration = VisionMamba.Configuration(depth: 3, width: 8)
      configuration.patch = 8
      configuration.stride = self == .vimPlus ? 4 : 8
      configuration.dropPath = dropPath
      switch self {
      case .deit, .vim, .vimPlus: break
      case .vimForward: configuration.directions = .forward
      case .vimSummed: configuration.directions = .summed
      case .vimFirstToken: configuration.readout = .firstToken
      case .vimEndTokens: configuration.readout = .endTokens
      case .vimLastPosition: configuration.readout = .lastPosition
      case .vimMean: configuration.readout = .mean
      case .vimMaximum: configuration.readout = .maximum
      }
      return configuration
    }

    /// Whatever the network is called, only its configuration counts.
    func model(
      imageSize: (height: Int, width: Int) = (32, 32), head: Head = .classifier(classes: 3),
      dropPath: Double = 0
    ) -> Model {
      Architecture.deitMicro.makeModel(
        configuration(dropPath: dropPath), imageSize: imageSize, head: head, seed: 7, dtype: .float64)
    }
  }

  private func images(_ height: Int = 32, _ width: Int = 32, batch: Int = 2) -> Tensor {
    .filled([batch, 3, height, width], key: "images", low: -2, high: 2, dtype: .float64)
  }

  /// Initial values are small, and some of them 0 or 1: moves them all, so that every tensor matters.
  private func shake(_ store: ParameterStore) {
    withoutGradients {
      for entry in store.entries {
        let noise = Tensor.filled(entry.tensor.shape, key: entry.key, low: -0.3, high: 0.3, dtype: .float64)
        entry.tensor.copy(from: entry.tensor + noise)
      }
    }
  }

  @Test(arguments: Network.allCases, [(33, 47), (64, 24), (8, 8), (32, 32)])
  func oddSizes(_ network: Network, _ size: (Int, Int)) throws {
    let backbone = network.model(head: .none).backbone
    let maps = withoutGradients { backbone.features(of: images(size.0, size.1, batch: 1)) }
    let info = try #require(backbone.featureInfo.first)
    #expect(backbone.featureInfo.count == 1 && maps.count == 1)
    #expect(info.channels == 8 && info.stride == (network == .vimPlus ? 4 : 8))
    // Patches that overlap by half have one place less in each direction.
    let overlap = network == .vimPlus ? 1 : 0
    let expected = [size.0, size.1].map { ($0 + info.stride - 1) / info.stride - overlap }
    #expect([size.0, size.1].map(info.positions) == expected)
    #expect(maps[0].shape == [1, 8] + expected)
    expectFinite(maps[0], info.name)
  }

  @Test(arguments: [Network.deit, .vim]) func tooSmallImagesAreASentence(_ network: Network) {
    let backbone = network.model().backbone
    let error = #expect(throws: TorchError.self) {
      try withTorchErrors { withoutGradients { _ = backbone(images(7, 64)) } }
    }
    #expect(error?.message.contains("at least 8 by 8 pixels, one patch, got 7 by 64") == true)
  }

  @Test(arguments: Network.allCases) func headsShareTheNetwork(_ network: Network) {
    let x = images(40, 33)
    let (classifier, bare, dense) = (
      network.model(), network.model(head: .none), network.model(head: .dense)
    )
    let keys = Set(bare.store.entries.map(\.key))
    #expect(
      Set(classifier.store.entries.map(\.key)).subtracting(keys) == ["head.weight", "head.bias"])
    #expect(Set(dense.store.entries.map(\.key)) == keys)
    withoutGradients {
      #expect(classifier.backbone(x).shape == [2, 3])
      let map = bare.backbone.features(of: x)[0]
      expectClose(bare.backbone(x), map, 0)
      expectClose(classifier.backbone.features(of: x)[0], map, 0)
      expectClose(dense.backbone.features(of: x)[0], map, 0)
    }
  }

  @Test(arguments: Network.allCases) func everyParameterLearns(_ network: Network) throws {
    let model = network.model()
    model.store.mode.isTraining = true
    shake(model.store)
    let logits = model.backbone(images(40, 33, batch: 4))
    (logits * Tensor.filled(logits.shape, key: "probe", dtype: .float64)).sum().backward()
    // The state in which the last block's scan arrives at the token that is read has no past in one direction.
    let withoutPast: [Network: String] = [
      .vimFirstToken: "layers.2.mixer.A_log", .vimLastPosition: "layers.2.mixer.A_b_log",
    ]
    for entry in model.store.entries {
      let gradient = try #require(entry.tensor.gradient, "\(entry.key)")
      expectFinite(gradient, entry.key)
      if entry.key == withoutPast[network] { continue }
      #expect(gradient.abs().max().item() > 0, "\(entry.key)")
    }
  }

  @Test(arguments: [Network.deit, .vim, .vimEndTokens]) func checkpointingChangesNothing(_ network: Network)
    throws
  {
    func run(_ usesCheckpointing: Bool) -> (logits: Tensor, store: ParameterStore) {
      let model = network.model(dropPath: 0.4)
      shake(model.store)
      model.store.mode.isTraining = true
      model.store.mode.usesCheckpointing = usesCheckpointing
      let logits = model.backbone(images(40, 33, batch: 4))
      logits.crossEntropy(Tensor([0, 1, 2, 0])).backward()
      return (logits.detached(), model.store)
    }
    let (own, expected) = (run(true), run(false))
    expectClose(own.logits, expected.logits, 1e-14, "logits")
    for (a, b) in zip(own.store.entries, expected.store.entries) {
      expectClose(
        try #require(a.tensor.gradient), try #require(b.tensor.gradient), 1e-10, "gradient of \(a.key)")
    }
  }

  @Test(arguments: [Network.deit, .vim]) func dropPathActsInTrainingOnly(_ network: Network) {
    let (model, plain) = (network.model(dropPath: 0.5), network.model())
    for model in [model, plain] { shake(model.store) }
    let x = images(batch: 8)
    withoutGradients {
      expectClose(model.backbone(x), plain.backbone(x), 0, "evaluation")
      model.store.mode.isTraining = true
      let first = model.backbone(x)
      #expect(relativeError(first, plain.backbone(x)) > 1e-6)
      model.store.mode.step = 1
      #expect(relativeError(model.backbone(x), first) > 1e-6)
    }
  }

  /// A table is resized when the network runs as it is when a checkpoint is loaded for that size.
  @Test(arguments: Network.allCases) func otherSizesResizeTheTable(_ network: Network) throws {
    let (square, wide) = (network.model(), network.model(imageSize: (40, 56)))
    shake(square.store)
    let values = Dictionary(uniqueKeysWithValues: square.store.entries.map { ($0.key, $0.tensor.detached()) })
    let report = try wide.store.load(adapting: values)
    #expect(report.changes.map(\.key) == ["pos_embed"])
    let x = images(40, 56)
    withoutGradients {
      // Loading resizes in single precision.
      expectClose(square.backbone(x), wide.backbone(x), 1e-5, "logits")
      #expect(relativeError(wide.backbone(images()), square.backbone(images())) > 1e-6)
    }
  }

  @Test(arguments: Network.allCases) func preparedIsTheSame(_ network: Network) {
    let model = network.model()
    shake(model.store)
    let x = images(40, 33, batch: 3)
    withoutGradients {
      let prepared = withPoisonedAllocations { model.prepared().backbone(x) }
      expectClose(prepared, model.backbone(x), 1e-11, "logits")
      expectClose(
        model.prepared().backbone.features(of: x)[0], model.backbone.features(of: x)[0], 1e-11, "map")
    }
  }

  @Test(arguments: [Network.deit, .vim]) func intermediatesFollowTheQuarters(_ network: Network) {
    let model = network.model()
    let intermediates = withoutGradients { model.backbone.intermediates(of: images()) }
    // Of three blocks, quarters end after the first, the second and the last.
    #expect(intermediates.count == (network == .deit ? 3 : 6))
    #expect(intermediates.allSatisfy { $0.shape == [2, 17, 8] })
  }
}
