import Layers
import TestSupport
import Testing
import Torch

@testable import Backbones

/// What every architecture has, whatever its family: one of each kind with few and narrow layers, all in outline.
@Suite struct CatalogTests {
  static let micros = Architecture.allCases.filter { $0.rawValue.hasSuffix("_micro") }
  /// The small ones of each family, and of those that compute something else the narrow ones.
  static let kinds: [Architecture] =
    micros + [
      .vanillaVMambaTiny, .mambaVisionBase, .visionMambaTinyDoubleToken, .visionMambaTinyFirstToken,
      .visionMambaTinyLastPosition, .visionMambaTinyMaximum, .visionMambaTinyMean, .visionMambaTinySummed,
      .visionMambaTinyForward,
    ]
  static let sizes = [(64, 64), (96, 80), (65, 67), (33, 95)]

  /// The small configurations as they are, and others with at most two narrow layers in each stage.
  private func configuration(_ architecture: Architecture) -> any BackboneConfiguration {
    var configuration = architecture.configuration
    if Self.micros.contains(architecture) { return configuration }
    let unit = configuration.widthUnit
    configuration.depths = configuration.depths.map { min($0, 2) }
    configuration.widths = configuration.widths.indices.map { ((16 << $0) + unit - 1) / unit * unit }
    return configuration
  }

  /// A model whose every tensor is away from where it starts, so that each of them matters.
  private func model(
    _ architecture: Architecture, _ head: Head = .classifier(classes: 3), dropPath: Double = 0,
    dtype: DType = .float64
  ) -> Model {
    let model = architecture.makeModel(
      configuration(architecture), imageSize: (64, 64), head: head, dropPath: dropPath, seed: 7, dtype: dtype)
    withoutGradients {
      for entry in model.store.entries where entry.tensor.dtype.isFloatingPoint {
        let noise = Tensor.filled(entry.tensor.shape, key: entry.key, low: -0.1, high: 0.1, dtype: dtype)
        entry.tensor.copy(from: entry.tensor + noise)
      }
    }
    return model
  }

  private func images(_ batch: Int, _ height: Int = 64, _ width: Int = 64) -> Tensor {
    .filled([batch, 3, height, width], key: "images", low: -2, high: 2, dtype: .float64)
  }

  @Test(arguments: Architecture.allCases)
  func logitsAreFiniteAndReachEveryParameter(_ architecture: Architecture) {
    let model = architecture.makeModel(
      configuration(architecture), imageSize: (64, 64), head: .classifier(classes: 3), dropPath: 0, seed: 7)
    let logits = model.backbone(images(2).to(.float32))
    #expect(logits.shape == [2, 3])
    expectFinite(logits, "logits")
    (logits * Tensor.filled([2, 3], key: "probe")).sum().backward()
    for entry in model.store.entries where entry.kind == .parameter {
      guard let gradient = entry.tensor.gradient else {
        Issue.record("\(entry.key) has no gradient")
        continue
      }
      expectFinite(gradient, entry.key)
    }
  }

  /// Parameters whose gradient is 0: the state in which the last block's scan arrives at the token that is read has no past
  /// in one direction.
  static let withoutGradient: [Architecture: String] = [
    .visionMambaTinyFirstToken: "layers.1.mixer.A_log",
    .visionMambaTinyLastPosition: "layers.1.mixer.A_b_log",
  ]

  @Test(arguments: kinds) func everyParameterLearns(_ architecture: Architecture) throws {
    let model = model(architecture)
    model.store.mode.isTraining = true
    try expectGradients(model, model.backbone(images(4)), without: Self.withoutGradient[architecture])
  }

  /// Products and scans have types of their own there.
  @Test(arguments: micros) func everyParameterLearnsInBfloat16(_ architecture: Architecture) throws {
    let model = model(architecture, dtype: .float32)
    let x = images(4).to(.float32)
    try expectGradients(model, withAutocast(.bfloat16, on: .cpu) { model.backbone(x) }.to(.float32))
  }

  private func expectGradients(_ model: Model, _ logits: Tensor, without exception: String? = nil) throws {
    (logits * .filled(logits.shape, key: "probe", dtype: logits.dtype)).sum().backward()
    for entry in model.store.entries where entry.kind == .parameter {
      let gradient = try #require(entry.tensor.gradient, "\(entry.key)")
      expectFinite(gradient, entry.key)
      #expect((gradient.abs().max().item() > 0) == (entry.key != exception), "\(entry.key)")
    }
  }

  @Test(arguments: kinds) func mapsAreThoseOfTheFeatureInfo(_ architecture: Architecture) throws {
    let (classifier, bare, dense) = (
      model(architecture), model(architecture, .none), model(architecture, .dense)
    )
    let info = bare.backbone.featureInfo
    #expect(info.map(\.channels) == configuration(architecture).widths)
    #expect(info.map(\.name) == info.indices.map { "stage\($0 + 1)" })
    if info.count > 1 { #expect(info.map(\.stride) == [4, 8, 16, 32]) }
    for (height, width) in Self.sizes {
      let x = images(1, height, width)
      let place = "\(height) by \(width)"
      try withoutGradients {
        let maps = bare.backbone.features(of: x)
        let expected = info.map { [1, $0.channels, $0.positions(height), $0.positions(width)] }
        #expect(maps.map(\.shape) == expected, "\(place)")
        for map in maps { expectFinite(map, place) }
        expectClose(bare.backbone(x), try #require(maps.last), 0, "without a head, \(place)")
        for (own, other) in zip(classifier.backbone.features(of: x), maps) {
          expectClose(own, other, 0, place)
        }
        #expect(classifier.backbone(x).shape == [1, 3])
        let denseMaps = dense.backbone.features(of: x)
        #expect(denseMaps.map(\.shape) == expected, "dense, \(place)")
        expectClose(dense.backbone(x), try #require(denseMaps.last), 0, "dense, \(place)")
      }
    }
  }

  /// The norms of dense prediction: how many maps are compared, the norms' names and epsilon.
  ///
  /// Without a classifier Swin shifts the windows of small maps too, so its last two maps differ before their norms.
  @Test(
    arguments: [
      (Architecture.sparxMambaMicro, 4, "norm.", 1e-6), (.convNeXtMicro, 4, "norm", 1e-6),
      (.mambaOutMicro, 4, "norm", 1e-6), (.vmambaMicro, 4, "outnorm", 1e-5),
      (.vanillaVMambaTiny, 4, "outnorm", 1e-5), (.mambaVisionMicro, 4, "outnorm", 1e-6),
      (.transXNetMicro, 4, "norm", 1e-5), (.swinMicro, 2, "norm", 1e-5), (.resNetMicro, 4, nil, 0),
      (.deitMicro, 1, nil, 0), (.visionMambaMicro, 1, nil, 0),
    ] as [(Architecture, Int, String?, Double)])
  func denseMapsHaveNormsOfTheirOwn(
    _ architecture: Architecture, _ count: Int, _ name: String?, _ epsilon: Double
  ) throws {
    let (bare, dense) = (model(architecture, .none), model(architecture, .dense))
    // TransXNet numbers its downsamplings too.
    let step = architecture == .transXNetMicro ? 2 : 1
    let names = name.map { name in (0..<4).map { "\(name)\(step * $0)" } } ?? []
    let extra = Set(dense.store.entries.map(\.key)).subtracting(bare.store.entries.map(\.key))
    #expect(extra == Set(names.flatMap { ["\($0).weight", "\($0).bias"] }))
    let x = images(1)
    try withoutGradients {
      let pairs = Array(zip(dense.backbone.features(of: x), bare.backbone.features(of: x)).prefix(count))
      #expect(pairs.count == count)
      for (index, (own, map)) in pairs.enumerated() {
        guard name != nil else {
          expectClose(own, map, 0)
          continue
        }
        let weight = try #require(dense.store["\(names[index]).weight"]).tensor
        let bias = try #require(dense.store["\(names[index]).bias"]).tensor
        let normed =
          architecture == .transXNetMicro
          ? map.groupNorm(groups: 1, weight: weight, bias: bias, epsilon: epsilon)
          : map.permute(0, 2, 3, 1).layerNorm([map.size(1)], weight: weight, bias: bias, epsilon: epsilon)
            .permute(0, 3, 1, 2)
        expectClose(own, normed, 1e-12, "map \(index)")
      }
    }
  }

  @Test(arguments: kinds) func tooSmallImagesAreASentence(_ architecture: Architecture) throws {
    let backbone = model(architecture).backbone
    let info = backbone.featureInfo
    let side = info.count > 1 ? 32 : info[0].stride
    for (height, width) in [(side - 1, 64), (64, side - 1)] {
      let error = try #require(throws: TorchError.self) {
        try withTorchErrors { withoutGradients { _ = backbone(images(1, height, width)) } }
      }
      #expect(error.message.contains("images must be at least \(side) by \(side) pixels"), "\(error.message)")
      #expect(error.message.contains("got \(height) by \(width); enlarge them first"), "\(error.message)")
    }
    #expect(withoutGradients { backbone(images(1, side, side)) }.shape == [1, 3])
  }

  @Test(arguments: kinds) func imagesDoNotSeeEachOther(_ architecture: Architecture) {
    let backbone = model(architecture).backbone
    let x = images(2, 64, 48)
    withoutGradients {
      expectClose(backbone(x), concatenate([backbone(x[0..<1]), backbone(x[1..<2])], along: 0), 1e-12)
      #expect(backbone(images(0)).shape == [0, 3])
    }
  }

  @Test(arguments: kinds) func checkpointingChangesNothing(_ architecture: Architecture) throws {
    func run(_ usesCheckpointing: Bool) -> (output: Tensor, store: ParameterStore) {
      let model = model(architecture, dropPath: 0.4)
      model.store.mode.isTraining = true
      model.store.mode.usesCheckpointing = usesCheckpointing
      let logits = model.backbone(images(4, 40, 64))
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
      // Some gradients are 0 but for rounding, which depends on the order of sums.
      let scale = try max(size(reference), 1e-4 * largest)
      #expect(try size(gradient - reference) <= 1e-10 * scale, "gradient of \(a.key)")
    }
  }

  @Test(arguments: kinds) func dropPathActsInTrainingOnly(_ architecture: Architecture) {
    let (model, plain) = (model(architecture, dropPath: 0.5), model(architecture))
    let x = images(8, 32, 32)
    withoutGradients {
      expectClose(model.backbone(x), plain.backbone(x), 0, "evaluation")
      model.store.mode.isTraining = true
      // Batch statistics alone change outputs too, so steps of the same training mode are compared.
      let first = model.backbone(x)
      model.store.mode.step = 1
      #expect(relativeError(model.backbone(x), first) > 1e-6)
      model.store.mode.step = 0
      expectClose(model.backbone(x), first, 1e-14, "the same step again")
    }
  }

  /// Linearly from 0 at the first block to the rate at the last, as all authors have it.
  @Test(arguments: Architecture.allCases) func dropPathRatesRiseOverTheBlocks(_ architecture: Architecture) {
    let backbone = architecture.makeModel(dropPath: 0.5, device: .meta).backbone
    let rates = dropPaths(in: backbone).map(\.rate)
    let distinct = rates.reduce(into: [Double]()) { if $0.last != $1 { $0.append($1) } }
    let depth = architecture.configuration.depths.reduce(0, +)
    #expect(distinct.count == depth)
    for (index, rate) in distinct.enumerated() {
      #expect(abs(rate - 0.5 * Double(index) / Double(depth - 1)) < 1e-12, "block \(index)")
    }
  }

  /// No two drop paths of a network draw the same, and each keeps the mean.
  @Test(arguments: kinds) func dropPathsAreIndependentAndKeepTheMean(_ architecture: Architecture) {
    let model = architecture.makeModel(configuration(architecture), dropPath: 0.5)
    model.store.mode.isTraining = true
    let found = dropPaths(in: model.backbone).filter { $0.rate > 0 }
    let draws = found.map { $0(.ones([1024])).array(Double.self) }
    #expect(!draws.isEmpty)
    #expect(Set(draws.map { $0.map { $0 > 0 } }).count == draws.count)
    for (path, values) in zip(found, draws) {
      let deviation = (path.rate / (1 - path.rate) / 1024).squareRoot()
      #expect(abs(values.reduce(0, +) / 1024 - 1) < 5 * deviation, "rate \(path.rate)")
    }
  }

  private func dropPaths(in value: Any) -> [DropPath] {
    if let path = value as? DropPath { return [path] }
    let mirror = Mirror(reflecting: value)
    return mirror.displayStyle == .class ? [] : mirror.children.flatMap { dropPaths(in: $0.value) }
  }

  @Test(arguments: kinds, [(Head.classifier(classes: 5), 12), (.dense, 2), (.none, 2)])
  func preparedIsTheSame(_ architecture: Architecture, _ variant: (head: Head, batch: Int)) {
    let plain = model(architecture, variant.head)
    let prepared = plain.prepared().backbone
    // Twelve images are more than one slice takes, and the size is no multiple of any stride.
    let x = images(variant.batch, 61, 70)
    withoutGradients {
      expectClose(withPoisonedAllocations { prepared(x) }, plain.backbone(x), 1e-11, "output")
      for (own, other) in zip(prepared.features(of: x[0..<2]), plain.backbone.features(of: x[0..<2])) {
        expectClose(own, other, 1e-11, "features")
      }
      let one = x[0..<1]
      #expect(
        OperationCounter.count { _ = prepared(one) } == OperationCounter.count { _ = plain.backbone(one) })
    }
  }

  @Test(arguments: micros) func preparedIsTheSameInSinglePrecision(_ architecture: Architecture) {
    let plain = model(architecture, dtype: .float32)
    let x = images(2, 61, 70).to(.float32)
    withoutGradients { expectClose(plain.prepared().backbone(x), plain.backbone(x), 2e-5) }
  }

  @Test(arguments: Architecture.allCases) func outlinesHaveTheMapsTheyName(_ architecture: Architecture) {
    let model = architecture.makeModel(device: .meta)
    let (height, width) = (96, 65)
    let maps = withoutGradients { model.backbone.features(of: .zeros([2, 3, height, width], device: .meta)) }
    #expect(
      maps.map(\.shape)
        == model.backbone.featureInfo.map { [2, $0.channels, $0.positions(height), $0.positions(width)] })
    if Self.micros.contains(architecture) { #expect(model.store.parameterCount < 1_500_000) }
  }
}

/// The depth of parameters, for learning rates that fall towards the image.
@Suite struct LayerGroupTests {
  @Test(arguments: Architecture.allCases) func everyParameterHasOne(_ architecture: Architecture) {
    let model = architecture.makeModel(device: .meta)
    let groups = model.layerGroups
    let parameters = model.store.entries.filter { $0.kind == .parameter }
    #expect(groups.count == architecture.configuration.depths.reduce(0, +) + 2)
    #expect(Set(groups.numbers.keys) == Set(parameters.map(\.key)))
    #expect(Set(groups.numbers.values) == Set(0..<groups.count))
    for entry in parameters {
      if entry.adaptation == .imageChannels { #expect(groups[entry.key] == 0, "\(entry.key)") }
      if entry.adaptation == .classes { #expect(groups[entry.key] == groups.count - 1, "\(entry.key)") }
    }
  }

  /// A stage's map depends on the groups up to its last block, and on no others.
  @Test(arguments: CatalogTests.micros) func theyFollowTheComputation(_ architecture: Architecture) {
    let model = architecture.makeModel(imageSize: (32, 32), head: .none, seed: 7)
    let groups = model.layerGroups
    let parameters = model.store.entries.filter { $0.kind == .parameter }
    let maps = model.backbone.features(of: .filled([2, 3, 32, 32], key: "images"))
    var end = 0
    for (map, depth) in zip(maps, architecture.configuration.depths) {
      end += depth
      let found = gradients(of: [map.sum()], withRespectTo: parameters.map(\.tensor), retainGraph: true)
      for (entry, gradient) in zip(parameters, found) {
        // A single map is taken after the norm that belongs to the head.
        let isReached = (groups[entry.key] ?? 0) <= end || maps.count == 1
        #expect((gradient != nil) == isReached, "\(entry.key)")
      }
    }
  }

  @Test(
    arguments: [
      (
        Architecture.sparxMambaMicro,
        [
          ("patch_embed.0.weight", 0), ("layers.0.blocks.0.norm.weight", 1),
          ("layers.0.downsample.1.bias", 2),
          ("layers.1.blocks.0.norm.weight", 2), ("classifier.0.weight", -1), ("classifier.3.bias", -1),
        ]
      ),
      (
        .convNeXtMicro,
        [("stem.1.weight", 0), ("stages.1.downsample.0.weight", 2), ("head.norm.weight", -1)]
      ),
      (.mambaOutMicro, [("downsample_layers.0.conv1.weight", 0), ("downsample_layers.1.conv.weight", 2)]),
      (
        .transXNetMicro,
        [("relative_pos_enc.0", 1), ("relative_pos_enc.1", 2), ("network.1.proj.bn.weight", 2)]
      ),
      (
        .deitMicro,
        [("pos_embed", 0), ("cls_token", 0), ("blocks.0.norm1.weight", 1), ("norm.weight", -1)]
      ),
      (
        .visionMambaMicro, [("patch_embed.proj.bias", 0), ("layers.1.norm.weight", 2), ("norm_f.weight", -1)]
      ),
    ] as [(Architecture, [(key: String, group: Int)])])
  func someByHand(_ architecture: Architecture, _ expected: [(key: String, group: Int)]) {
    var configuration = architecture.configuration
    if configuration.depths.count > 1 { configuration.depths[0] = 1 }
    let groups = architecture.makeModel(configuration, device: .meta).layerGroups
    for (key, group) in expected {
      #expect(groups[key] == (group < 0 ? groups.count + group : group), "\(key)")
    }
  }

  @Test func ratesFallByAFactorForEachGroup() {
    let groups = Architecture.deitMicro.makeModel(device: .meta).layerGroups
    let last = groups.count - 1
    #expect(groups.learningRateScale(of: last, decay: 0.5) == 1)
    #expect(groups.learningRateScale(of: last - 3, decay: 0.5) == 0.125)
    #expect((0...last).allSatisfy { groups.learningRateScale(of: $0, decay: 1) == 1 })
    #expect(groups["running_mean"] == nil)
  }
}

/// A network keeps its tensors when it gets another head.
@Suite struct ResetHeadTests {
  private func tensors(_ model: Model) -> [String: Tensor] {
    Dictionary(uniqueKeysWithValues: model.store.entries.map { ($0.key, $0.tensor) })
  }

  @Test(arguments: CatalogTests.micros) func fromHeadToHead(_ architecture: Architecture) {
    let x = Tensor.filled([2, 3, 64, 64], key: "images")
    let original = architecture.makeModel(head: .classifier(classes: 1000), dropPath: 0, seed: 1)
    let before = tensors(original)
    let (maps, logits) = withoutGradients { (original.backbone.features(of: x), original.backbone(x)) }
    var model = original
    for (head, outputs) in [
      (Head.classifier(classes: 3), 3), (.none, nil), (.classifier(classes: 1000), 1000),
    ]
      as [(Head, Int?)]
    {
      model.resetHead(head, seed: 2)
      #expect(model.head == head)
      let fresh = tensors(architecture.makeModel(head: head, dropPath: 0, seed: 2))
      #expect(model.store.entries.map(\.key) == architecture.makeModel(head: head, device: .meta).store.keys)
      withoutGradients {
        for (own, other) in zip(model.backbone.features(of: x), maps) {
          expectClose(own, other, 0, "\(head)")
        }
        if let outputs { #expect(model.backbone(x).shape == [2, outputs]) }
        expectClose(model.prepared().backbone(x), model.backbone(x), 1e-4, "prepared, \(head)")
      }
      let anew = model.store.entries.filter { $0.adaptation == .classes }
      #expect(anew.isEmpty == (outputs == nil))
      for entry in anew { #expect(entry.tensor.bytes() == fresh[entry.key]?.bytes(), "\(entry.key)") }
    }
    expectClose(withoutGradients { original.backbone(x) }, logits, 0, "the first model")
    let keys = Set(architecture.makeModel(head: .none, device: .meta).store.keys)
    // The tensors are the same ones: a change of the first model's is one of the last model's.
    withoutGradients {
      for (key, tensor) in before where tensor.dtype.isFloatingPoint {
        tensor.fill(keys.contains(key) ? 3 : 4)
      }
    }
    for entry in model.store.entries where keys.contains(entry.key) {
      #expect(entry.tensor.bytes() == before[entry.key]?.bytes(), "\(entry.key)")
    }
  }

  @Test func frozenParametersStayFrozenAndTheNewHeadIsTrained() {
    var model = Architecture.mambaOutMicro.makeModel(head: .classifier(classes: 10), device: .meta)
    model.store.freeze("*")
    model.store.mode.usesCheckpointing = true
    model.resetHead(.classifier(classes: 4))
    let trained = model.store.entries.filter { $0.kind == .parameter }.map(\.key)
    #expect(trained == ["head.fc2.weight", "head.fc2.bias"])
    #expect(model.store.mode.usesCheckpointing)
    #expect(model.layerGroups.count == Architecture.mambaOutMicro.configuration.depths.reduce(0, +) + 2)
  }
}

extension ParameterStore {
  fileprivate var keys: [String] { entries.map(\.key) }
}
