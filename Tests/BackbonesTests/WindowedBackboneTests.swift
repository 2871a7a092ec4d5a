import Backbones
import Layers
import TestSupport
import Testing
import Torch

/// Properties that Swin and MambaVision share, on networks small enough for seconds.
@Suite struct WindowedBackboneTests {
  static let micros = [Architecture.swinMicro, .mambaVisionMicro]

  private func model(
    _ architecture: Architecture, _ head: Head = .classifier(classes: 3), dropPath: Double = 0
  ) -> Model {
    architecture.makeModel(head: head, dropPath: dropPath, seed: 7, dtype: .float64)
  }

  private func images(_ height: Int, _ width: Int, batch: Int = 2) -> Tensor {
    .filled([batch, 3, height, width], key: "images", low: -2, high: 2, dtype: .float64)
  }

  @Test(arguments: micros, [(33, 47), (64, 96), (100, 61), (31, 5), (1, 1)])
  func oddSizes(_ architecture: Architecture, _ size: (Int, Int)) {
    let backbone = model(architecture, .none).backbone
    let maps = withoutGradients { backbone.features(of: images(size.0, size.1)) }
    #expect(maps.count == backbone.featureInfo.count)
    for (map, info) in zip(maps, backbone.featureInfo) {
      let positions = [size.0, size.1].map { ($0 + info.stride - 1) / info.stride }
      #expect(map.shape == [2, info.channels] + positions, "\(info.name)")
      expectFinite(map, info.name)
    }
    #expect(backbone.featureInfo.map(\.name) == ["stage1", "stage2", "stage3", "stage4"])
    #expect(backbone.featureInfo.map(\.channels) == [16, 32, 64, 128])
    #expect(backbone.featureInfo.map(\.stride) == [4, 8, 16, 32])
  }

  @Test(arguments: zip(micros, ["norm", "outnorm"])) func headsShareTheNetwork(
    _ architecture: Architecture, _ norm: String
  ) {
    let (classified, dense, bare) = (
      model(architecture), model(architecture, .dense), model(architecture, .none)
    )
    func keys(_ model: Model) -> Set<String> { Set(model.store.entries.map(\.key)) }
    #expect(
      keys(dense).subtracting(keys(bare))
        == Set((0..<4).flatMap { ["\(norm)\($0).weight", "\(norm)\($0).bias"] }))
    #expect(keys(bare).isSubset(of: keys(classified)))
    let x = images(70, 64)
    withoutGradients {
      #expect(classified.backbone(x).shape == [2, 3])
      let maps = bare.backbone.features(of: x)
      for (own, other) in zip(classified.backbone.features(of: x), maps) { expectClose(own, other, 0) }
      expectClose(bare.backbone(x), maps[3], 0)
      expectClose(dense.backbone(x), dense.backbone.features(of: x)[3], 0)
      expectClose(
        dense.backbone.features(of: x)[0].mean(1), Tensor.zeros([2, 18, 16], dtype: .float64), 1e-12)
    }
  }

  @Test(arguments: micros) func imagesDoNotSeeEachOther(_ architecture: Architecture) {
    let backbone = model(architecture).backbone
    let x = images(64, 64, batch: 3)
    withoutGradients {
      let alone = (0..<3).map { backbone(x.narrow(0, from: $0, length: 1)) }
      expectClose(backbone(x), concatenate(alone, along: 0), 1e-12)
      #expect(backbone(images(64, 64, batch: 0)).shape == [0, 3])
    }
  }

  @Test(arguments: micros) func checkpointingChangesNothing(_ architecture: Architecture) throws {
    func run(_ usesCheckpointing: Bool) -> (output: Tensor, store: ParameterStore) {
      let model = model(architecture, dropPath: 0.4)
      model.store.mode.isTraining = true
      model.store.mode.usesCheckpointing = usesCheckpointing
      let logits = model.backbone(images(70, 64, batch: 4))
      logits.crossEntropy(Tensor([0, 1, 2, 0])).backward()
      return (logits.detached(), model.store)
    }
    let (own, expected) = (run(true), run(false))
    expectClose(own.output, expected.output, 1e-14, "logits")
    func size(_ gradient: Tensor?) throws -> Double { try #require(gradient).abs().max().item() }
    let largest = try expected.store.parameters.map { try size($0.gradient) }.max() ?? 0
    #expect(largest > 0)
    for (a, b) in zip(own.store.entries, expected.store.entries) {
      expectClose(a.tensor.detached().to(.float64), b.tensor.detached().to(.float64), 1e-14, a.key)
      if a.kind != .parameter { continue }
      let (gradient, reference) = (try #require(a.tensor.gradient), try #require(b.tensor.gradient))
      let difference = (gradient - reference).abs().max().item()
      #expect(try difference <= 1e-10 * max(size(reference), 1e-4 * largest), "gradient of \(a.key)")
    }
  }

  /// In bfloat16 too, where products and scans have types of their own.
  @Test(arguments: micros, [DType?.none, .bfloat16])
  func everyParameterLearns(_ architecture: Architecture, _ dtype: DType?) throws {
    let model = architecture.makeModel(head: .classifier(classes: 3), dropPath: 0, seed: 7)
    // Away from 0 and 1, so that none is without effect by its first value.
    withoutGradients {
      for entry in model.store.entries where entry.kind == .parameter {
        entry.tensor.copy(
          from: entry.tensor + Tensor.filled(entry.tensor.shape, key: entry.key, low: -0.2, high: 0.2))
      }
    }
    let x = images(72, 64, batch: 4).to(.float32)
    let logits = withAutocast(dtype, on: .cpu) { model.backbone(x) }
    (logits.to(.float32) * Tensor.filled(logits.shape, key: "probe")).sum().backward()
    for entry in model.store.entries where entry.kind == .parameter {
      let gradient = try #require(entry.tensor.gradient, "\(entry.key)")
      expectFinite(gradient, entry.key)
      #expect(gradient.abs().max().item() > 0, "\(entry.key)")
    }
  }

  @Test(arguments: micros) func dropPathActsInTrainingOnly(_ architecture: Architecture) {
    let (model, plain) = (self.model(architecture, dropPath: 0.5), self.model(architecture))
    let x = images(64, 64, batch: 8)
    withoutGradients {
      expectClose(model.backbone(x), plain.backbone(x), 0, "evaluation")
      model.store.mode.isTraining = true
      let first = model.backbone(x)
      model.store.mode.step = 1
      #expect(relativeError(model.backbone(x), first) > 1e-6)
      model.store.mode.step = 0
      expectClose(model.backbone(x), first, 1e-14, "the same step again")
    }
  }

  @Test(arguments: micros, [Head.classifier(classes: 3), .dense, .none])
  func preparedModelsComputeTheSame(_ architecture: Architecture, _ head: Head) {
    let plain = model(architecture, head)
    withoutGradients {
      for entry in plain.store.entries where entry.tensor.dtype.isFloatingPoint && entry.tensor.rank == 1 {
        let low = entry.key.hasSuffix("bias") || entry.key.hasSuffix("mean") ? -0.5 : 0.5
        entry.tensor.copy(
          from: .filled(entry.tensor.shape, key: entry.key, low: low, high: low + 1, dtype: .float64))
      }
      // More images than one slice takes.
      let x = images(61, 70, batch: 14)
      let prepared = plain.prepared().backbone
      expectClose(prepared(x), plain.backbone(x), 1e-11)
      for (own, expected) in zip(prepared.features(of: x), plain.backbone.features(of: x)) {
        expectClose(own, expected, 1e-11)
      }
    }
  }
}
