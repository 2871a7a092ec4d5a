import Layers
import Scan
import TestSupport
import Testing
import Torch

@testable import Backbones

/// The block as it is defined: the scan by its recurrence, attention by softmax, the gate by its formula.
///
/// Letters: B batch, H, W positions, L = H · W, C width, D inner width of the scan, N states.
private struct Definition {
  let values: [String: Tensor]
  let heads: Int
  /// The places of the map in the order in which the scan reads them, as row-major indices.
  let order: [Int]
  let window: Int?

  func callAsFunction(_ x: Tensor) throws -> Tensor {
    let (_, H, W, _) = x.shape4
    let tokens = x.flatten(from: 1, to: 2)  // [B, L, C]
    let normed = try norm(tokens, "norm1")
    let m = try scan(normed)
    let t = try attention(normed, height: H, width: W)
    let g = try sigmoid(linear(concatenate([m, t], along: 2), "mixer.gate"))
    let y = tokens + g * m + (1 - g) * t
    let hidden = try linear(norm(y, "norm2"), "mlp.fc1").gelu()
    return try (y + linear(hidden, "mlp.fc2")).reshape(x.shape)
  }

  func value(_ key: String) throws -> Tensor { try #require(values[key], "\(key)") }

  private func sigmoid(_ x: Tensor) -> Tensor { 1 / ((-x).exp() + 1) }

  private func linear(_ x: Tensor, _ key: String) throws -> Tensor {
    let product = try x.matmul(value("\(key).weight").transpose(0, 1))
    guard let bias = values["\(key).bias"] else { return product }
    return product + bias
  }

  private func norm(_ x: Tensor, _ key: String) throws -> Tensor {
    let centered = x - x.mean(2, keepDimensions: true)
    let variance = (centered * centered).mean(2, keepDimensions: true)
    return try centered / (variance + 1e-5).sqrt() * value("\(key).weight") + value("\(key).bias")
  }

  func scan(_ x: Tensor) throws -> Tensor {
    let key = "mixer.scan"
    let a = try -value("\(key).A_log").exp()  // [D, N]
    let (D, N) = a.shape2
    let (weight, bias) = try (value("\(key).conv1d.weight"), value("\(key).conv1d.bias"))
    let rank = try value("\(key).dt_proj.weight").size(1)
    let projected = try order.map { try linear(x.select(1, $0), "\(key).in_proj").split([D, D], along: 1) }
    var h = Tensor.zeros([x.size(0), D, N], dtype: .float64)
    var outputs = [Tensor?](repeating: nil, count: order.count)
    for (step, place) in order.enumerated() {
      var sum = bias
      for tap in 0..<weight.size(2) {
        let past = step - (weight.size(2) - 1 - tap)
        if past >= 0 { sum = sum + weight.select(2, tap).select(1, 0) * projected[past][0] }
      }
      let u = sum * sigmoid(sum)  // [B, D]
      let parts = try linear(u, "\(key).x_proj").split([rank, N, N], along: 1)
      let delta = try (linear(parts[0], "\(key).dt_proj").exp() + 1).log().unsqueeze(2)  // [B, D, 1]
      h = (delta * a).exp() * h + delta * parts[1].unsqueeze(1) * u.unsqueeze(2)
      let y = try (h * parts[2].unsqueeze(1)).sum(2) + value("\(key).D") * u
      let z = projected[step][1]
      outputs[place] = try linear(y * z * sigmoid(z), "\(key).out_proj")
    }
    return stack(outputs.compactMap(\.self), along: 1)
  }

  /// The places that see each other, padded ones as `nil`.
  private func groups(_ height: Int, _ width: Int) -> [[Int?]] {
    guard let window else { return [Array(0..<height * width)] }
    return stride(from: 0, to: height, by: window).flatMap { top in
      stride(from: 0, to: width, by: window).map { left in
        (0..<window * window).map { index in
          let (row, column) = (top + index / window, left + index % window)
          return row < height && column < width ? row * width + column : nil
        }
      }
    }
  }

  func attention(_ x: Tensor, height: Int, width: Int) throws -> Tensor {
    let key = "mixer.attn"
    let C = x.size(2)
    let each = C / heads
    var outputs = [Tensor?](repeating: nil, count: height * width)
    for group in groups(height, width) {
      let inputs = stack(group.map { $0.map { x.select(1, $0) } ?? x.select(1, 0).zerosLike() }, along: 1)
      let projected = try linear(inputs, "\(key).qkv")
      let attended = try (0..<heads).map { head in
        let (q, k, v) = (
          projected.narrow(2, from: head * each, length: each),
          projected.narrow(2, from: C + head * each, length: each),
          projected.narrow(2, from: 2 * C + head * each, length: each)
        )
        var products = q.matmul(k.transpose(1, 2)) / Double(each).squareRoot()
        if let window { products = try products + bias(window, head) }
        let weights = products.exp()
        return (weights / weights.sum(2, keepDimensions: true)).matmul(v)
      }
      let result = try linear(concatenate(attended, along: 2), "\(key).proj")
      for (index, place) in group.enumerated() {
        if let place { outputs[place] = result.select(1, index) }
      }
    }
    return stack(outputs.compactMap(\.self), along: 1)
  }

  /// What a window's products of queries and keys get for the offset between the two, `[s², s²]`.
  private func bias(_ side: Int, _ head: Int) throws -> Tensor {
    let table = try value("mixer.attn.relative_position_bias_table").select(1, head)
    let rows = (0..<side * side).map { query in
      stack(
        (0..<side * side).map { key in
          let (down, right) = (query / side - key / side, query % side - key % side)
          return table.select(0, (down + side - 1) * (2 * side - 1) + right + side - 1)
        }, along: 0)
    }
    return stack(rows, along: 0)
  }
}

/// One block and its definition, with values that differ from where they start.
private struct BlockCase {
  let store = ParameterStore(seed: 5, dtype: .float64)
  let block: GatedHybridBlock
  let order: ScanOrder
  let window: Int?

  init(_ order: ScanOrder, window: Int?) {
    var configuration = GatedHybrid.Configuration(depth: 1, width: 8, patch: 8)
    configuration.headWidth = 4
    configuration.states = 3
    configuration.kernel = 3
    block = GatedHybridBlock(
      store.root, configuration, width: 8, window: window, order: order, dropPath: 0)
    self.order = order
    self.window = window
    shake(store)
  }

  func definition(height: Int, width: Int) -> Definition {
    let rows = (0..<height).flatMap { row in (0..<width).map { row * width + $0 } }
    let columns = (0..<width).flatMap { column in (0..<height).map { $0 * width + column } }
    let places =
      switch order {
      case .rows: rows
      case .rowsBackwards: Array(rows.reversed())
      case .columns: columns
      case .columnsBackwards: Array(columns.reversed())
      }
    return Definition(
      values: Dictionary(uniqueKeysWithValues: store.entries.map { ($0.key, $0.tensor) }), heads: 2,
      order: places, window: window)
  }

  func setGateBias(_ value: Double) {
    withoutGradients {
      store["mixer.gate.bias"]?.tensor.copy(from: .full([8], value, dtype: .float64))
    }
  }
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

@Suite struct GatedHybridBlockTests {
  /// A map that windows of 2 by 2 do not fill.
  private let map = Tensor.filled([2, 3, 5, 8], key: "map", low: -2, high: 2, dtype: .float64)

  @Test(arguments: ScanOrder.allCases, [Int?.none, 2])
  func blocksAreAsDefined(_ order: ScanOrder, _ window: Int?) throws {
    for kernel in ScanKernel.allCases {
      let item = BlockCase(order, window: window)
      let x = map.clone().requiringGradient()
      let (y, expected) = try withScanKernel(kernel) {
        (item.block(x), try item.definition(height: 3, width: 5)(x))
      }
      expectClose(y, expected, 1e-12, "\(order) \(kernel)")
      let variables = [x] + item.store.parameters
      let keys = ["x"] + item.store.entries.map(\.key)
      let probe = Tensor.filled(y.shape, key: "probe", dtype: .float64)
      let (own, defined) = (
        gradients(of: [(y * probe).sum()], withRespectTo: variables),
        gradients(of: [(expected * probe).sum()], withRespectTo: variables)
      )
      for (index, key) in keys.enumerated() {
        let reference = try #require(defined[index], "\(key)")
        #expect(reference.abs().max().item() > 0, "\(key)")
        expectClose(try #require(own[index]), reference, 1e-9, "\(order) \(kernel): gradient of \(key)")
      }
    }
  }

  @Test(arguments: [Int?.none, 2]) func gradientsAreFiniteDifferences(_ window: Int?) throws {
    let item = BlockCase(.columns, window: window)
    let small = Tensor.filled([1, 2, 3, 8], key: "small", low: -1, high: 1, dtype: .float64)
    gradientCheck("gated block", [small]) { item.block($0[0]) }
    let probe = Tensor.filled(small.shape, key: "probe", dtype: .float64)
    func loss() -> Tensor { (item.block(small) * probe).sum() }
    let analytic = gradients(of: [loss()], withRespectTo: item.store.parameters)
    for (entry, gradient) in zip(item.store.entries, analytic) {
      let direction = Tensor.filled(entry.tensor.shape, key: "of " + entry.key, dtype: .float64)
      let numeric = withoutGradients {
        let (start, step) = (entry.tensor.clone(), 1e-6)
        let sides = [step, -step].map { offset in
          entry.tensor.copy(from: start + direction * offset)
          return loss().item()
        }
        entry.tensor.copy(from: start)
        return (sides[0] - sides[1]) / (2 * step)
      }
      let slope: Double = (try #require(gradient) * direction).sum().item()
      #expect(abs(slope - numeric) <= 1e-6 * max(1e-2, abs(numeric)), "\(entry.key): \(slope), \(numeric)")
    }
  }

  @Test(arguments: [Int?.none, 2]) func theGateChoosesABranch(_ window: Int?) throws {
    let item = BlockCase(.rows, window: window)
    let tokens = map.flatten(from: 1, to: 2)
    try withoutGradients {
      let (scan, attention) = (
        try item.definition(height: 3, width: 5).scan(tokens).reshape(map.shape),
        try item.definition(height: 3, width: 5).attention(tokens, height: 3, width: 5).reshape(map.shape)
      )
      item.setGateBias(1000)
      expectClose(item.block.mixer(map), scan, 1e-12, "an open gate")
      item.setGateBias(-1000)
      expectClose(item.block.mixer(map), attention, 1e-12, "a closed gate")
      item.setGateBias(0)
      item.store["mixer.gate.weight"]?.tensor.copy(from: .zeros([8, 16], dtype: .float64))
      expectClose(item.block.mixer(map), (scan + attention) / 2, 1e-12, "half a gate")
    }
  }

  @Test func newGatesAreHalfOpen() throws {
    let store = Architecture.gatedHybridMicro.makeModel().store
    let biases = store.entries.filter { $0.key.hasSuffix("mixer.gate.bias") }
    #expect(biases.count == 6)
    #expect(biases.allSatisfy { $0.tensor.abs().max().item() == 0 })
  }

  @Test(
    arguments: [
      (ScanOrder.rows, [0, 1, 2, 3, 4, 5]), (.rowsBackwards, [5, 4, 3, 2, 1, 0]),
      (.columns, [0, 3, 1, 4, 2, 5]), (.columnsBackwards, [5, 2, 4, 1, 3, 0]),
    ] as [(ScanOrder, [Double])]) func ordersReadMapsThisWay(_ order: ScanOrder, _ expected: [Double])
  {
    let map = Tensor.arange(0, to: 6, dtype: .float64).reshape(1, 2, 3, 1)
    let sequence = order.sequence(of: map)
    expectEqual(sequence, expected, [1, 6, 1])
    expectClose(order.map(of: sequence, height: 2, width: 3), map, 0)
  }

  @Test func layersTakeTheOrdersInTurns() {
    #expect(
      (0..<6).map(ScanOrder.init(ofLayer:)) == [
        .rows, .rowsBackwards, .columns, .columnsBackwards, .rows, .rowsBackwards,
      ])
  }
}

/// Properties of whole networks, small enough for seconds.
@Suite struct GatedHybridTests {
  enum Network: String, CaseIterable, Sendable {
    case patches, pyramid

    var configuration: GatedHybrid.Configuration {
      var configuration =
        self == .patches
        ? GatedHybrid.Configuration(depth: 3, width: 8, patch: 8)
        : GatedHybrid.Configuration(depths: [1, 2, 2, 1], widths: [8, 8, 12, 16], window: 3)
      configuration.headWidth = 4
      configuration.states = 4
      return configuration
    }

    func model(
      _ head: Head = .classifier(classes: 3), imageSize: (height: Int, width: Int) = (32, 32),
      dropPath: Double = 0
    ) -> Model {
      let model = Architecture.gatedHybridMicro.makeModel(
        configuration, imageSize: imageSize, head: head, dropPath: dropPath, seed: 7, dtype: .float64)
      shake(model.store)
      return model
    }
  }

  private func images(_ height: Int, _ width: Int, batch: Int = 2) -> Tensor {
    .filled([batch, 3, height, width], key: "images", low: -2, high: 2, dtype: .float64)
  }

  @Test(arguments: Network.allCases, [(33, 47), (64, 96), (100, 61), (32, 39)])
  func oddSizes(_ network: Network, _ size: (Int, Int)) {
    let backbone = network.model(.none).backbone
    let maps = withoutGradients { backbone.features(of: images(size.0, size.1)) }
    #expect(maps.count == network.configuration.depths.count)
    for (map, info) in zip(maps, backbone.featureInfo) {
      #expect(
        map.shape == [2, info.channels, info.positions(size.0), info.positions(size.1)], "\(info.name)")
      expectFinite(map, info.name)
    }
    #expect(backbone.featureInfo.map(\.channels) == network.configuration.widths)
    #expect(backbone.featureInfo.map(\.stride) == (network == .patches ? [8] : [4, 8, 16, 32]))
    #expect(backbone.featureInfo.last?.name == (network == .patches ? "stage1" : "stage4"))
  }

  @Test(arguments: Network.allCases) func headsShareTheNetwork(_ network: Network) {
    let x = images(40, 33)
    let (classifier, bare, dense) = (network.model(), network.model(.none), network.model(.dense))
    let keys = Set(bare.store.entries.map(\.key))
    #expect(
      Set(classifier.store.entries.map(\.key)).subtracting(keys)
        == ["norm.weight", "norm.bias", "head.weight", "head.bias"])
    #expect(
      Set(dense.store.entries.map(\.key)).subtracting(keys)
        == Set(network.configuration.widths.indices.flatMap { ["outnorm\($0).weight", "outnorm\($0).bias"] }))
    withoutGradients {
      #expect(classifier.backbone(x).shape == [2, 3])
      let maps = bare.backbone.features(of: x)
      for (own, other) in zip(classifier.backbone.features(of: x), maps) { expectClose(own, other, 0) }
      expectClose(bare.backbone(x), maps[maps.count - 1], 0)
      expectClose(dense.backbone(x), dense.backbone.features(of: x)[maps.count - 1], 0)
      #expect(relativeError(dense.backbone(x), maps[maps.count - 1]) > 1e-3)
    }
  }

  /// In bfloat16 too, where products and scans have types of their own.
  @Test(arguments: Network.allCases, [DType?.none, .bfloat16])
  func everyParameterLearns(_ network: Network, _ dtype: DType?) throws {
    let model = Architecture.gatedHybridMicro.makeModel(
      network.configuration, imageSize: (32, 32), head: .classifier(classes: 3), seed: 7)
    let logits = withAutocast(dtype, on: .cpu) { model.backbone(images(40, 33, batch: 4).to(.float32)) }
    (logits.to(.float32) * Tensor.filled(logits.shape, key: "probe")).sum().backward()
    for entry in model.store.entries {
      let gradient = try #require(entry.tensor.gradient, "\(entry.key)")
      expectFinite(gradient, entry.key)
      #expect(gradient.abs().max().item() > 0, "\(entry.key)")
    }
  }

  @Test(arguments: Network.allCases) func checkpointingChangesNothing(_ network: Network) throws {
    func run(_ usesCheckpointing: Bool) -> (logits: Tensor, store: ParameterStore) {
      let model = network.model(dropPath: 0.4)
      model.store.mode.isTraining = true
      model.store.mode.usesCheckpointing = usesCheckpointing
      let logits = model.backbone(images(40, 33, batch: 4))
      logits.crossEntropy(Tensor([0, 1, 2, 0])).backward()
      return (logits.detached(), model.store)
    }
    let (own, expected) = (run(true), run(false))
    expectClose(own.logits, expected.logits, 1e-14, "logits")
    func size(_ gradient: Tensor?) throws -> Double { try #require(gradient).abs().max().item() }
    let largest = try expected.store.parameters.map { try size($0.gradient) }.max() ?? 0
    #expect(largest > 0)
    for (a, b) in zip(own.store.entries, expected.store.entries) {
      let (gradient, reference) = (try #require(a.tensor.gradient), try #require(b.tensor.gradient))
      let difference = (gradient - reference).abs().max().item()
      #expect(try difference <= 1e-10 * max(size(reference), 1e-4 * largest), "gradient of \(a.key)")
    }
  }

  @Test(arguments: Network.allCases) func dropPathActsInTrainingOnly(_ network: Network) {
    let (model, plain) = (network.model(dropPath: 0.5), network.model())
    let x = images(32, 32, batch: 8)
    withoutGradients {
      expectClose(model.backbone(x), plain.backbone(x), 0, "evaluation")
      model.store.mode.isTraining = true
      let first = model.backbone(x)
      #expect(relativeError(first, plain.backbone(x)) > 1e-6)
      model.store.mode.step = 1
      #expect(relativeError(model.backbone(x), first) > 1e-6)
      model.store.mode.step = 0
      expectClose(model.backbone(x), first, 1e-14, "the same step again")
    }
  }

  @Test(arguments: Network.allCases, [Head.classifier(classes: 3), .dense, .none])
  func preparedIsTheSame(_ network: Network, _ head: Head) {
    let plain = network.model(head)
    // More images than one slice takes.
    let x = images(61, 70, batch: 14)
    withoutGradients {
      let prepared = plain.prepared().backbone
      expectClose(withPoisonedAllocations { prepared(x) }, plain.backbone(x), 1e-11)
      for (own, expected) in zip(prepared.features(of: x), plain.backbone.features(of: x)) {
        expectClose(own, expected, 1e-11)
      }
    }
  }

  @Test(arguments: Network.allCases) func imagesDoNotSeeEachOther(_ network: Network) {
    let backbone = network.model().backbone
    let x = images(40, 33, batch: 3)
    withoutGradients {
      let alone = (0..<3).map { backbone(x.narrow(0, from: $0, length: 1)) }
      expectClose(backbone(x), concatenate(alone, along: 0), 1e-12)
      #expect(backbone(images(40, 33, batch: 0)).shape == [0, 3])
    }
  }

  /// A table is resized when the network runs as it is when a checkpoint is loaded for that size.
  @Test func otherSizesResizeTheTable() throws {
    let (square, wide) = (Network.patches.model(), Network.patches.model(imageSize: (40, 56)))
    let values = Dictionary(uniqueKeysWithValues: square.store.entries.map { ($0.key, $0.tensor.detached()) })
    let report = try wide.store.load(adapting: values)
    #expect(report.changes.map(\.key) == ["pos_embed"])
    withoutGradients {
      // Loading resizes in single precision.
      expectClose(square.backbone(images(40, 56)), wide.backbone(images(40, 56)), 1e-5, "logits")
    }
  }

  /// In a stage whose attention stays in windows only the scan carries a change to the windows after it.
  @Test(arguments: [(-1000.0, false), (0, true)])
  func theScanJoinsTheWindows(_ gateBias: Double, _ reachesOthers: Bool) {
    let model = Network.pyramid.model(.none)
    let x = images(48, 48, batch: 1)  // 12 by 12 positions, windows of 3
    let changed = concatenate([-x.narrow(2, from: 0, length: 4), x.narrow(2, from: 4, length: 44)], along: 2)
    withoutGradients {
      for entry in model.store.entries where entry.key.hasSuffix("gate.bias") {
        entry.tensor.copy(from: .full(entry.tensor.shape, gateBias, dtype: .float64))
      }
      let difference = model.backbone.features(of: changed)[0] - model.backbone.features(of: x)[0]
      let rows = difference.abs().sum(0, 1, 3).array(Double.self)
      #expect(rows[0..<3].allSatisfy { $0 > 0 })
      #expect(rows[3...].allSatisfy { $0 > 0 } == reachesOthers)
      #expect(reachesOthers || rows[3...].allSatisfy { $0 == 0 })
    }
  }

  @Test(arguments: [
    (Architecture.gatedHybridTiny, 6.0...9), (.gatedHybridSmall, 25...32), (.gatedHybridMicro, 0...1.5),
    (.gatedHybridPyramidTiny, 15...25), (.gatedHybridPyramidMicro, 0...1.5),
  ]) func sizesInMillions(_ architecture: Architecture, _ range: ClosedRange<Double>) {
    let model = architecture.makeModel(device: .meta)
    #expect(range.contains(Double(model.store.parameterCount) / 1e6))
    #expect(architecture.publication == nil)
    let size = architecture.input.size
    let regions = Set(model.multiplyAdds(height: size, width: size).keys)
    #expect(regions == Set(["stem", "head"] + model.backbone.featureInfo.map(\.name)))
  }
}
