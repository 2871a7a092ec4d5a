import Layers
import TestSupport
import Testing
import Torch

@testable import Backbones

/// What every plain chain of stages has, on the small networks of the catalog.
@Suite struct ConvolutionalBackboneTests {
  static let architectures: [Architecture] = [.mambaOutMicro, .convNeXtMicro, .resNetMicro]

  private func images(_ batch: Int, _ height: Int, _ width: Int) -> Tensor {
    .filled([batch, 3, height, width], key: "images", low: -2, high: 2, dtype: .float64)
  }

  /// A model whose vectors differ from where they start, so that each of them matters.
  private func model(
    _ architecture: Architecture, _ head: Head = .classifier(classes: 3), dropPath: Double = 0
  ) -> Model {
    let model = architecture.makeModel(head: head, dropPath: dropPath, seed: 7, dtype: .float64)
    withoutGradients {
      for entry in model.store.entries where entry.tensor.rank == 1 {
        let low = entry.key.hasSuffix("bias") || entry.key.hasSuffix("mean") ? -0.5 : 0.5
        entry.tensor.copy(
          from: .filled(entry.tensor.shape, key: entry.key, low: low, high: low + 1, dtype: .float64))
      }
    }
    return model
  }

  @Test(arguments: architectures, [(33, 47), (64, 96), (100, 32)])
  func oddSizes(_ architecture: Architecture, _ size: (height: Int, width: Int)) {
    let backbone = model(architecture, .none).backbone
    let maps = withoutGradients { backbone.features(of: images(1, size.height, size.width)) }
    #expect(maps.count == backbone.featureInfo.count)
    for (map, info) in zip(maps, backbone.featureInfo) {
      let positions = [size.height, size.width].map(info.positions)
      #expect(map.shape == [1, info.channels] + positions, "\(info.name)")
      expectFinite(map, info.name)
    }
    #expect(backbone.featureInfo.map(\.name) == ["stage1", "stage2", "stage3", "stage4"])
    #expect(backbone.featureInfo.map(\.stride) == [4, 8, 16, 32])
    #expect(backbone.featureInfo.map(\.channels) == architecture.configuration.widths)
  }

  @Test(arguments: architectures) func tooSmallImagesAreASentence(_ architecture: Architecture) {
    let backbone = model(architecture).backbone
    let error = #expect(throws: TorchError.self) {
      try withTorchErrors { withoutGradients { _ = backbone(images(1, 64, 31)) } }
    }
    #expect(
      error?.message.contains("at least 32 by 32 pixels, got 64 by 31") == true, "\(error?.message ?? "")")
  }

  @Test(arguments: architectures) func headsShareTheNetwork(_ architecture: Architecture) {
    let x = images(2, 40, 33)
    let (bare, dense, classifier) = (
      model(architecture, .none), model(architecture, .dense), model(architecture)
    )
    let keys = Set(bare.store.entries.map(\.key))
    #expect(keys.isSubset(of: Set(classifier.store.entries.map(\.key))))
    let norms = (0..<4).flatMap { ["norm\($0).weight", "norm\($0).bias"] }
    #expect(
      Set(dense.store.entries.map(\.key)).subtracting(keys)
        == Set(architecture == .resNetMicro ? [] : norms))
    withoutGradients {
      let maps = bare.backbone.features(of: x)
      #expect(classifier.backbone(x).shape == [2, 3])
      for (own, other) in zip(classifier.backbone.features(of: x), maps) { expectClose(own, other, 0) }
      expectClose(bare.backbone(x), maps[3], 0)
      for (index, (own, other)) in zip(dense.backbone.features(of: x), maps).enumerated() {
        guard let weight = dense.store["norm\(index).weight"]?.tensor,
          let bias = dense.store["norm\(index).bias"]?.tensor
        else {
          expectClose(own, other, 0)
          continue
        }
        let normed = other.permute(0, 2, 3, 1)
          .layerNorm([other.size(1)], weight: weight, bias: bias, epsilon: 1e-6)
        expectClose(own, normed.permute(0, 3, 1, 2), 1e-12)
      }
    }
  }

  @Test(arguments: architectures) func everyParameterLearns(_ architecture: Architecture) throws {
    let model = model(architecture)
    model.store.mode.isTraining = true
    let logits = model.backbone(images(4, 64, 64))
    (logits * .filled(logits.shape, key: "probe", dtype: .float64)).sum().backward()
    for entry in model.store.entries where entry.kind == .parameter {
      let gradient = try #require(entry.tensor.gradient, "\(entry.key)")
      expectFinite(gradient, entry.key)
      #expect(gradient.abs().max().item() > 0, "\(entry.key)")
    }
  }

  @Test(arguments: architectures) func checkpointingChangesNothing(_ architecture: Architecture) throws {
    struct Outcome {
      let output: Tensor
      let store: ParameterStore
    }
    func run(_ usesCheckpointing: Bool) -> Outcome {
      let model = model(architecture, dropPath: 0.4)
      model.store.mode.isTraining = true
      model.store.mode.usesCheckpointing = usesCheckpointing
      let logits = model.backbone(images(4, 64, 64))
      logits.crossEntropy(Tensor([0, 1, 2, 0])).backward()
      return Outcome(output: logits.detached(), store: model.store)
    }
    let (own, expected) = (run(true), run(false))
    expectClose(own.output, expected.output, 1e-14, "logits")
    func size(_ gradient: Tensor?) throws -> Double { try #require(gradient).abs().max().item() }
    let largest = try expected.store.parameters.map { try size($0.gradient) }.max() ?? 0
    for (a, b) in zip(own.store.entries, expected.store.entries) {
      expectClose(a.tensor.detached().to(.float64), b.tensor.detached().to(.float64), 1e-14, a.key)
      if a.kind == .parameter {
        // Some gradients are 0 but for rounding, which depends on where memory lies.
        let isZero = try max(size(a.tensor.gradient), size(b.tensor.gradient)) < 1e-14 * largest
        if isZero { continue }
        expectClose(
          try #require(a.tensor.gradient), try #require(b.tensor.gradient), 1e-10, "gradient of \(a.key)")
      }
    }
  }

  @Test(arguments: architectures) func dropPathActsInTrainingOnly(_ architecture: Architecture) {
    let (model, plain) = (model(architecture, dropPath: 0.5), model(architecture))
    let x = images(8, 32, 32)
    withoutGradients {
      expectClose(model.backbone(x), plain.backbone(x), 0, "evaluation")
      model.store.mode.isTraining = true
      // Batch statistics alone change outputs too, so two steps of the same training mode are compared.
      let first = model.backbone(x)
      model.store.mode.step = 1
      #expect(relativeError(model.backbone(x), first) > 1e-6)
      model.store.mode.step = 0
      expectClose(model.backbone(x), first, 1e-14, "the same step again")
    }
  }

  @Test(arguments: architectures, [Head.classifier(classes: 5), .dense, .none])
  func preparedIsTheSame(_ architecture: Architecture, _ head: Head) {
    let plain = model(architecture, head)
    let prepared = plain.prepared().backbone
    // More images than one slice takes, and a size that is no multiple of any stride.
    let x = images(15, 61, 70)
    withoutGradients {
      expectClose(withPoisonedAllocations { prepared(x) }, plain.backbone(x), 1e-11, "output")
      for (own, other) in zip(prepared.features(of: x), plain.backbone.features(of: x)) {
        expectClose(own, other, 1e-11, "features")
      }
      let one = x[0..<1]
      #expect(
        OperationCounter.count { _ = prepared(one) } == OperationCounter.count { _ = plain.backbone(one) })
    }
  }

  @Test func dropPathRatesRiseOverTheWholeNetwork() {
    var configuration = ConvNeXt.Configuration(depths: [1, 2, 2], widths: [8, 8, 8])
    configuration.dropPath = 0.4
    let rates = configuration.dropPathRates
    #expect(rates.map(\.count) == [1, 2, 2])
    for (rate, expected) in zip(rates.joined(), [0, 0.1, 0.2, 0.3, 0.4]) {
      #expect(abs(rate - expected) < 1e-15)
    }
    configuration.depths = [1]
    #expect(configuration.dropPathRates == [[0]])
  }

  /// Parameters and multiply-adds at the published image size, counted from the official code.
  @Test(arguments: [
    (Architecture.mambaOutFemto, 7_304_536, 1_147_984_992), (.mambaOutKobe, 9_141_208, 1_505_865_312),
    (.mambaOutTiny, 26_545_096, 4_469_655_744), (.mambaOutSmall, 48_488_072, 8_936_423_616),
    (.mambaOutBase, 84_813_092, 15_794_325_760), (.convNeXtTiny, 28_589_128, 4_455_531_264),
    (.convNeXtSmall, 50_223_688, 8_683_712_256), (.convNeXtBase, 88_591_464, 15_354_729_472),
    (.resNet50, 25_557_032, 4_089_184_256),
  ])
  func publishedCounts(_ architecture: Architecture, _ parameters: Int, _ multiplyAdds: Int) throws {
    let model = architecture.makeModel(device: .meta)
    #expect(model.store.parameterCount == parameters)
    let counts = model.multiplyAdds(height: 224, width: 224)
    #expect(Set(counts.keys) == ["stem", "stage1", "stage2", "stage3", "stage4", "head"])
    #expect(counts.values.reduce(0, +) == multiplyAdds)
    let reported = try #require(architecture.publication?.reported)
    let printed = try #require(reported.multiplyAdds)
    #expect(abs(printed - Double(multiplyAdds) / 1e9) < 0.07)
    #expect(abs(reported.parameters - Double(parameters) / 1e6) < 0.06)
  }

  @Test(arguments: architectures) func smallOnesAreSmall(_ architecture: Architecture) {
    #expect(architecture.makeModel(device: .meta).store.parameterCount < 1_500_000)
    #expect(architecture.publication == nil)
  }
}
