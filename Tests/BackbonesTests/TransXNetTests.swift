import Layers
import TestSupport
import Testing
import Torch

@testable import Backbones

/// Properties that every TransXNet has, on networks small enough for seconds.
@Suite struct TransXNetTests {
  private func configuration(
    _ change: (inout TransXNet.Configuration) -> Void = { _ in }
  ) -> TransXNet.Configuration {
    // The second stage's hidden width is no multiple of 4, its branches start where they matter.
    var configuration = TransXNet.Configuration(stages: [
      .init(depth: 1, width: 8, heads: 1, reduction: 8),
      .init(depth: 2, width: 10, heads: 1, reduction: 4, kernels: 3, expansion: 3),
      .init(depth: 2, width: 16, heads: 2, reduction: 2), .init(depth: 1, width: 24, heads: 3, reduction: 1),
    ])
    configuration.branchScale = 0.5
    change(&configuration)
    return configuration
  }

  private func images(_ height: Int, _ width: Int, batch: Int = 2) -> Tensor {
    .filled([batch, 3, height, width], key: "images", low: -2, high: 2, dtype: .float64)
  }

  /// A model whose tables of biases are not the zeros that they start from.
  private func model(
    _ configuration: TransXNet.Configuration, size: (Int, Int) = (64, 64),
    _ head: Head = .classifier(classes: 3)
  ) -> (store: ParameterStore, model: TransXNet) {
    let store = ParameterStore(seed: 7, dtype: .float64)
    let model = TransXNet(store.root, configuration, imageSize: size, head: head)
    withoutGradients {
      for entry in store.entries where entry.key.hasPrefix("relative_pos_enc") {
        entry.tensor.copy(
          from: .filled(entry.tensor.shape, key: entry.key, low: -1, high: 1, dtype: .float64))
      }
    }
    return (store, model)
  }

  @Test(arguments: [(33, 47), (64, 96), (224, 160), (32, 32)]) func oddSizes(_ height: Int, _ width: Int) {
    let (_, model) = model(configuration(), .none)
    let maps = withoutGradients { model.features(of: images(height, width, batch: 1)) }
    #expect(maps.count == 4)
    for (map, info) in zip(maps, model.featureInfo) {
      let size = [height, width].map { ($0 + info.stride - 1) / info.stride }
      #expect(map.shape == [1, info.channels] + size, "\(info.name)")
      expectFinite(map, info.name)
    }
    #expect(model.featureInfo.map(\.channels) == [8, 10, 16, 24])
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

  @Test func trainingOnOneImageIsASentence() {
    let (store, model) = model(configuration())
    store.mode.isTraining = true
    let error = #expect(throws: TorchError.self) {
      try withTorchErrors { _ = model(images(64, 64, batch: 1)) }
    }
    #expect(error?.message.contains("at least 2 images") == true, "\(error?.message ?? "")")
  }

  @Test func headsShareTheNetwork() {
    let x = images(40, 33)
    let (classifier, classified) = model(configuration(), .classifier(classes: 3))
    let (dense, denseModel) = model(configuration(), .dense)
    let (bare, bareModel) = model(configuration(), .none)
    let keys = Set(bare.entries.map(\.key))
    #expect(
      Set(classifier.entries.map(\.key)).subtracting(keys)
        == Set([0, 2].flatMap { ["classifier.\($0).weight", "classifier.\($0).bias"] }))
    #expect(
      Set(dense.entries.map(\.key)).subtracting(keys)
        == Set([0, 2, 4, 6].flatMap { ["norm\($0).weight", "norm\($0).bias"] }))
    withoutGradients {
      #expect(classified(x).shape == [2, 3])
      let maps = bareModel.features(of: x)
      for (own, other) in zip(classified.features(of: x), maps) { expectClose(own, other, 0) }
      for (own, other) in zip(denseModel.features(of: x), maps) {
        expectClose(own, other.groupNorm(groups: 1, weight: nil, bias: nil, epsilon: 1e-5), 1e-12)
      }
      expectClose(bareModel(x), maps[3], 0)
    }
  }

  @Test(arguments: [
    ((64, 64), [[256, 4], [64, 4], [16, 4], [4, 4]]), ((50, 70), [[234, 6], [63, 6], [20, 6], [6, 6]]),
  ]) func tablesFitTheImagesTheyAreFor(_ size: (Int, Int), _ expected: [[Int]]) {
    let (store, _) = model(configuration(), size: size)
    let tables = store.entries.filter { $0.key.hasPrefix("relative_pos_enc") }
    #expect(tables.map { Array($0.tensor.shape.dropFirst(2)) } == expected)
    #expect(tables.map { $0.tensor.size(1) } == [1, 1, 2, 3])
    #expect(tables.allSatisfy { $0.adaptation == .map })
  }

  /// A model for other images that takes this one's tables when it is loaded computes what this one computes for them.
  @Test func tablesResizedAtRunTimeAreThoseResizedOnLoading() throws {
    let (store, model) = model(configuration())
    let (other, otherModel) = self.model(configuration(), size: (96, 80))
    let values = Dictionary(uniqueKeysWithValues: store.entries.map { ($0.key, $0.tensor.detached()) })
    let report = try other.load(adapting: values)
    #expect(report.changes.map(\.key) == (0..<4).map { "relative_pos_enc.\($0)" })
    // Values of other shapes are resized in float32.
    withoutGradients { expectClose(otherModel(images(96, 80)), model(images(96, 80)), 1e-5) }
  }

  /// Every image has kernels of its own, so that it comes out the same in any company.
  @Test func imagesDoNotSeeEachOther() {
    let (_, model) = model(configuration())
    let x = images(64, 48, batch: 3)
    withoutGradients {
      let together = model(x)
      for index in 0..<3 {
        expectClose(
          model(x.narrow(0, from: index, length: 1)), together.narrow(0, from: index, length: 1), 1e-12,
          "image \(index)")
      }
    }
  }

  /// The dynamic convolution's projection also sees the means that its bias is made of.
  @Test(arguments: [false, true]) func aStepCountsTheDynamicConvolutionsBatchesTwice(
    _ usesCheckpointing: Bool
  ) {
    let (store, model) = model(configuration())
    store.mode.isTraining = true
    store.mode.usesCheckpointing = usesCheckpointing
    model(images(64, 64)).sum().backward()
    for entry in store.entries where entry.key.hasSuffix("num_batches_tracked") {
      #expect(entry.tensor.itemInt() == (entry.key.contains("local_unit") ? 2 : 1), "\(entry.key)")
    }
  }

  @Test func everyParameterLearns() throws {
    let (store, model) = model(configuration())
    store.mode.isTraining = true
    withoutGradients {
      for entry in store.entries where entry.kind == .parameter {
        let noise = Tensor.filled(entry.tensor.shape, key: entry.key, low: -0.3, high: 0.3, dtype: .float64)
        entry.tensor.copy(from: entry.tensor + noise)
      }
    }
    let logits = model(images(64, 64, batch: 4))
    (logits * Tensor.filled(logits.shape, key: "probe", dtype: .float64)).sum().backward()
    for entry in store.entries where entry.kind == .parameter {
      let gradient = try #require(entry.tensor.gradient, "\(entry.key)")
      expectFinite(gradient, entry.key)
      #expect(gradient.abs().max().item() > 0, "\(entry.key)")
    }
  }

  /// The size is not that of the tables, so that their gradients pass the resizing too.
  @Test(arguments: [(64, 64), (50, 70)]) func checkpointingChangesNothing(_ height: Int, _ width: Int) throws
  {
    struct Outcome {
      let output: Tensor
      let store: ParameterStore
    }
    func run(_ usesCheckpointing: Bool) -> Outcome {
      let (store, model) = model(configuration { $0.dropPath = 0.4 })
      store.mode.isTraining = true
      store.mode.usesCheckpointing = usesCheckpointing
      let logits = model(images(height, width, batch: 4))
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
        // Some gradients are 0 but for rounding.
        let isZero = try max(size(a.tensor.gradient), size(b.tensor.gradient)) < 1e-14 * largest
        if isZero { continue }
        expectClose(
          try #require(a.tensor.gradient), try #require(b.tensor.gradient), 1e-9, "gradient of \(a.key)")
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
      let first = model(x)
      store.mode.step = 1
      #expect(relativeError(model(x), first) > 1e-6)
      store.mode.step = 0
      expectClose(model(x), first, 1e-14, "the same step again")
    }
  }

  /// Rates rise linearly over the layers of all stages.
  @Test func dropPathRisesLinearly() {
    let (_, model) = model(configuration { $0.dropPath = 0.5 })
    let rates = model.stages.flatMap(\.blocks).flatMap { [$0.dropPath1.rate, $0.dropPath2.rate] }
    #expect(rates == [0, 0, 0.1, 0.1, 0.2, 0.2, 0.3, 0.3, 0.4, 0.4, 0.5, 0.5])
  }

  @Test(arguments: [[2, 3, 64, 64], [3, 3, 61, 70]]) func preparedModelsComputeTheSame(_ size: [Int]) {
    for (dtype, tolerance) in [(DType.float64, 1e-11), (.float32, 2e-5)] {
      let plain = Architecture.transXNetMicro.makeModel(
        configuration(), imageSize: (64, 64), head: .classifier(classes: 5), dtype: dtype)
      withoutGradients {
        for entry in plain.store.entries where entry.tensor.dtype.isFloatingPoint {
          let low = entry.key.hasSuffix("running_var") ? 0.5 : -0.5
          entry.tensor.copy(
            from: .filled(entry.tensor.shape, key: entry.key, low: low, high: low + 1, dtype: dtype))
        }
        let x = Tensor.filled(size, key: "images", low: -2, high: 2, dtype: dtype)
        let prepared = plain.prepared()
        expectClose(
          withPoisonedAllocations { prepared.backbone(x) }, plain.backbone(x), tolerance, "\(dtype)")
        let one = x.narrow(0, from: 0, length: 1)
        #expect(
          OperationCounter.count { _ = prepared.backbone(one) }
            == OperationCounter.count { _ = plain.backbone(one) })
      }
    }
  }

  /// The multiply-adds and parameters at the model's own size, counted from the official code, whose authors leave out
  /// a part of the attention's.
  @Test(arguments: [
    (Architecture.transXNetTiny, 12_834_808, 1_807_090_360), (.transXNetSmall, 26_864_068, 4_607_231_232),
    (.transXNetBase, 48_009_002, 8_352_984_512), (.transXNetBase384, 48_009_002, 25_239_739_152),
  ]) func publishedCounts(_ architecture: Architecture, _ parameters: Int, _ multiplyAdds: Int) throws {
    let model = architecture.makeModel(device: .meta)
    #expect(model.store.parameterCount == parameters)
    let (height, width) = architecture.input.imageSize
    let counts = model.multiplyAdds(height: height, width: width)
    #expect(Set(counts.keys) == ["stem", "stage1", "stage2", "stage3", "stage4", "head"])
    #expect(counts.values.reduce(0, +) == multiplyAdds)
    let reported = try #require(architecture.publication?.reported)
    #expect(abs(reported.parameters - Double(parameters) / 1e6) < 0.05)
    let counted = Double(multiplyAdds) / 1e9
    #expect(abs(try #require(reported.multiplyAdds) / counted - 1) < 0.05)
  }

  @Test func microIsSmall() {
    let model = Architecture.transXNetMicro.makeModel(device: .meta)
    #expect(model.store.parameterCount < 1_500_000)
  }

  @Test(arguments: [
    (Architecture.transXNetTiny, 16), (.transXNetSmall, 80), (.transXNetBase, 32), (.transXNetMicro, 16),
  ]) func widthsDivideIntoTheHeads(_ architecture: Architecture, _ unit: Int) {
    #expect(architecture.configuration.widthUnit == unit)
  }
}
