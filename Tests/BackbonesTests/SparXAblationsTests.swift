import Layers
import TestSupport
import Testing
import Torch

@testable import Backbones

/// A catalog entry, what it changes of SparX-Mamba-T, and the wiring of its stages 2 to 4: layers separated by blanks,
/// `-` for an ordinary layer, otherwise what it sees.
private struct Ablation: Sendable, CustomTestStringConvertible {
  let architecture: Architecture
  var wiring = ["- input,0", "input - 1,0 - 3,0,2 - 5,0,2,4", "input 0"]
  var aggregators: [Aggregator]?
  let change: @Sendable (inout SparX.Configuration) -> Void

  var testDescription: String { architecture.rawValue }

  /// An ablation of the aggregators of stages 2 to 4.
  static func aggregating(_ architecture: Architecture, _ aggregators: [Aggregator]) -> Ablation {
    Ablation(architecture: architecture, aggregators: aggregators) {
      for (index, aggregator) in aggregators.enumerated() {
        $0.stages[index + 1].connection.aggregator = aggregator
      }
    }
  }

  static let all = [
    Ablation(
      architecture: .sparxMambaTinyDenseGanglion,
      wiring: [
        "- input,0", "input - input,0,1 - input,0,1,2,3 - input,0,1,2,3,4,5", "input input,0",
      ]
    ) { for index in 1..<4 { $0.stages[index].connection.reach = .dense } },
    Ablation(
      architecture: .sparxMambaTinyDenseNetStyle,
      wiring: [
        "- input,0",
        "input input,0 input,0,1 input,0,1,2 input,0,1,2,3 input,0,1,2,3,4 input,0,1,2,3,4,5",
        "input input,0",
      ]
    ) {
      for index in 1..<4 { $0.stages[index].connection.reach = .dense }
      $0.stages[2].connection.placement = .every(stride: 1)
    },
    Ablation(architecture: .sparxMambaTinyPlain, wiring: ["- -", "- - - - - - -", "- -"]) {
      for index in 1..<4 { $0.stages[index].connection = .none }
      $0.stages[2].width = 384
      $0.stages[3].width = 576
    },
    Ablation(
      architecture: .sparxMambaTinyStride1,
      wiring: ["- input,0", "input 0 0,1 0,1,2 1,2,3 2,3,4 3,4,5", "input 0"]
    ) { $0.stages[2].connection.placement = .every(stride: 1) },
    Ablation(
      architecture: .sparxMambaTinyStride3, wiring: ["- input,0", "input - - 1,2,0 - - 4,5,0,3", "input 0"]
    ) { $0.stages[2].connection.placement = .every(stride: 3) },
    Ablation(
      architecture: .sparxMambaTinyStride4, wiring: ["- input,0", "- - input,0,1 - - - 3,4,5,2", "input 0"]
    ) { $0.stages[2].connection.placement = .every(stride: 4) },
    Ablation(
      architecture: .sparxMambaTinyWindow2, wiring: ["- input,0", "input - 1,0 - 3,0,2 - 5,2,4", "input 0"]
    ) { $0.stages[2].connection.reach = .sparse(window: 2) },
    Ablation(architecture: .sparxMambaTinyWindow4) {
      $0.stages[2].connection.reach = .sparse(window: 4)
    },
    .aggregating(.sparxMambaTinyConcatenation, [.concatenation, .concatenation, .concatenation]),
    .aggregating(.sparxMambaTinyWithoutAttention, [.queryAndValue, .queryAndValue, .queryAndValue]),
    .aggregating(
      .sparxMambaTinySpatialReduction, [[4], [2], [1]].map { .spatialAttention(.init(reductions: $0)) }),
    .aggregating(
      .sparxMambaTinyCrossScale,
      [[4, 8], [2, 4], [1, 2]].map { .spatialAttention(.init(reductions: $0)) }),
    .aggregating(
      .sparxMambaTinySpatialCross,
      [.spatialCrossAttention(heads: 4), .spatialCrossAttention(heads: 4), .spatialCrossAttention(heads: 4)]),
    Ablation(architecture: .sparxMambaTinyWithoutPositionEncoding) { $0.hasPositionEncoding = false },
    .aggregating(
      .sparxMambaTinyWithoutShortcut,
      [4, 2, 1].map {
        var aggregator = DynamicChannelAggregator.Configuration(reduction: $0)
        aggregator.shortcut = .none
        return .dynamicChannels(aggregator)
      }),
    .aggregating(
      .sparxMambaTinyWithoutReduction, [1, 1, 1].map { .dynamicChannels(.init(reduction: $0)) }),
  ]
}

@Suite struct SparXAblationsTests {
  private func configuration(_ architecture: Architecture) throws -> SparX.Configuration {
    try #require(architecture.configuration as? SparX.Configuration)
  }

  /// A network of an ablation's rules, small enough for seconds.
  private func small(_ ablation: Ablation) throws -> SparX.Configuration {
    var configuration = try configuration(ablation.architecture)
    configuration.depths = [1, 2, 5, 2]
    configuration.widths = [8, 12, 16, 20]
    return configuration
  }

  private func images(_ height: Int, _ width: Int, batch: Int = 2) -> Tensor {
    .filled([batch, 3, height, width], key: "images", low: -2, high: 2, dtype: .float64)
  }

  @Test(arguments: Ablation.all) fileprivate func differsFromTheTinyModelInWhatItNames(_ ablation: Ablation)
    throws
  {
    var expected = try configuration(.sparxMambaTiny)
    ablation.change(&expected)
    let own = try configuration(ablation.architecture)
    #expect(own == expected)
    #expect(try own != configuration(.sparxMambaTiny))
    #expect(ablation.architecture.input == Architecture.sparxMambaTiny.input)
    #expect(ablation.architecture.publication?.paper == "2409.09649")
    #expect(ablation.architecture.publication?.top1 == nil)
  }

  @Test(arguments: Ablation.all) fileprivate func isWiredAsItSays(_ ablation: Ablation) throws {
    let wiring = ablation.architecture.makeModel(device: .meta).backbone.wiring
    let texts = wiring.map { wiring in
      wiring.sources.map { $0?.map(\.description).joined(separator: ",") ?? "-" }.joined(separator: " ")
    }
    #expect(texts == ["- -"] + ablation.wiring)
    if let aggregators = ablation.aggregators { #expect(wiring.map(\.aggregator) == [nil] + aggregators) }
  }

  @Test func everyAblationIsTested() {
    let names = Architecture.allCases.map(\.rawValue).filter { $0.hasPrefix("sparx_mamba_t_") }
    #expect(Set(names) == Set(Ablation.all.map(\.architecture.rawValue)))
  }

  /// The published wiring has no place for a fourth earlier ganglion layer.
  @Test func aWindowOfFourIsTheTinyModel() throws {
    let (own, tiny) = (
      Architecture.sparxMambaTinyWindow4.makeModel(device: .meta),
      Architecture.sparxMambaTiny.makeModel(device: .meta)
    )
    #expect(own.backbone.wiring == tiny.backbone.wiring)
    #expect(own.store.entries.map(\.tensor.shape) == tiny.store.entries.map(\.tensor.shape))
  }

  @Test(arguments: Ablation.all) fileprivate func oddSizesAndThePreparedForm(_ ablation: Ablation) throws {
    let configuration = try small(ablation)
    for (height, width) in [(32, 32), (33, 47), (96, 64)] {
      let model = ablation.architecture.makeModel(configuration, head: .none, seed: 2, dtype: .float64)
      // Fresh statistics and scales of 1 would hide what folding gets wrong.
      withoutGradients {
        for entry in model.store.entries where entry.tensor.dtype == .float64 && entry.tensor.rank == 1 {
          let low = entry.key.hasSuffix("bias") || entry.key.hasSuffix("mean") ? -0.5 : 0.5
          entry.tensor.copy(
            from: .filled(entry.tensor.shape, key: entry.key, low: low, high: low + 1, dtype: .float64))
        }
        let x = images(height, width)
        let maps = model.backbone.features(of: x)
        let prepared = withPoisonedAllocations { model.prepared().backbone.features(of: x) }
        for ((map, info), other) in zip(zip(maps, model.backbone.featureInfo), prepared) {
          let size = [height, width].map { ($0 + info.stride - 1) / info.stride }
          #expect(map.shape == [2, info.channels] + size, "\(info.name)")
          expectFinite(map, info.name)
          expectClose(other, map, 1e-11, "\(info.name) of \(height)x\(width)")
        }
      }
    }
  }

  @Test(arguments: Ablation.all) fileprivate func checkpointingChangesNothing(_ ablation: Ablation) throws {
    var configuration = try small(ablation)
    configuration.dropPath = 0.4
    func run(_ usesCheckpointing: Bool) -> (logits: Tensor, store: ParameterStore) {
      let store = ParameterStore(seed: 7, dtype: .float64)
      let model = SparX(store.root, configuration, head: .classifier(classes: 3))
      store.mode.isTraining = true
      store.mode.usesCheckpointing = usesCheckpointing
      let logits = model(images(48, 40, batch: 3))
      logits.crossEntropy(Tensor([0, 1, 2])).backward()
      return (logits.detached(), store)
    }
    let (own, expected) = (run(true), run(false))
    expectClose(own.logits, expected.logits, 1e-13, "logits")
    let largest =
      try expected.store.parameters.map { try #require($0.gradient).abs().max().item() }.max() ?? 0
    #expect(largest > 0)
    for (a, b) in zip(own.store.entries, expected.store.entries) {
      expectClose(a.tensor.detached().to(.float64), b.tensor.detached().to(.float64), 1e-13, a.key)
      guard a.kind == .parameter else { continue }
      let difference = try (#require(a.tensor.gradient) - #require(b.tensor.gradient)).abs().max().item()
      #expect(difference <= 1e-11 * largest, "gradient of \(a.key)")
    }
  }

  /// Weights of an aggregator for S maps of C channels beside the layer's own, counted by hand; 2C channels come out.
  private func count(_ aggregator: Aggregator, _ C: Int, _ S: Int) -> Int {
    let norm = 2 * S * C
    func seen(_ outputs: Int) -> Int { norm + 9 * S * C + 2 * S * C + S * C * outputs + outputs }
    func reduced(_ reduction: Int, _ outputs: Int) -> Int {
      let window = reduction > 1 ? (reduction + 1) * (reduction + 1) * C + 2 * C : 0
      return window + C * outputs + 2 * outputs
    }
    func joined(_ parts: Int) -> Int {
      let outputs = 2 * C / parts * parts
      return parts * C * 10 + C * outputs + outputs
    }
    func fused(_ inputs: Int, _ hidden: Int) -> Int {
      inputs * hidden + hidden + 10 * hidden + hidden * 2 * C + 2 * C
    }
    switch aggregator {
    case .dynamicChannels(let configuration):
      return seen(2 * C) + 2 * reduced(configuration.reduction, C) + reduced(1, C)
        + joined(configuration.shortcut == .none ? 1 : 3)
    case .spatialAttention(let configuration):
      let each = C / configuration.reductions.count
      return seen(2 * C) + reduced(1, C) + joined(3)
        + configuration.reductions.reduce(0) { $0 + 2 * reduced($1, each) }
    case .spatialCrossAttention:
      return 49 * S * C + norm + 4 * (C * C + C) + C * 2 * C + 2 * C
    case .queryAndValue: return seen(C) + 2 * reduced(1, C) + fused(2 * C, C)
    case .concatenation: return norm + fused((S + 1) * C, 2 * C)
    }
  }

  /// What is left without the aggregators is the same for all networks that differ in them only.
  @Test func parametersAreThoseCountedByHand() throws {
    func rest(_ architecture: Architecture) throws -> Int {
      let model = architecture.makeModel(device: .meta)
      let configuration = try configuration(architecture)
      var rest = model.store.parameterCount
      for (stage, wiring) in zip(configuration.stages, model.backbone.wiring) {
        for sources in wiring.sources.compactMap({ $0 }) {
          rest -= count(stage.connection.aggregator, stage.width, sources.count)
        }
      }
      return rest
    }
    let tiny = try rest(.sparxMambaTiny)
    #expect(tiny > 15_000_000)
    for ablation in Ablation.all where ablation.aggregators != nil {
      #expect(try rest(ablation.architecture) == tiny, "\(ablation.architecture.rawValue)")
    }
  }

  @Test(arguments: [
    (Aggregator.dynamicChannels(.init(reduction: 2)), "DMCA, 4 groups, reduction 2"),
    (.spatialAttention(.init(reductions: [1])), "SRA, 4 heads, no reduction"),
    (.spatialAttention(.init(reductions: [2, 4])), "CSA, 4 heads, reductions 2, 4"),
    (.spatialCrossAttention(heads: 8), "SCA, 8 heads"),
    (.queryAndValue, "query and values, fused by convolutions"),
    (.concatenation, "concatenation, fused by convolutions"),
  ])
  func aggregatorsHaveNames(_ aggregator: Aggregator, _ expected: String) {
    #expect(aggregator.description == expected)
  }

  @Test func impossibleAttentionsTrap() async {
    await #expect(processExitsWith: .failure) {
      let store = ParameterStore(device: .meta)
      _ = Aggregator.spatialAttention(.init(reductions: [2])).make(
        store.root, width: 6, sources: 1, outputs: 12)
    }
    await #expect(processExitsWith: .failure) {
      let store = ParameterStore(device: .meta)
      _ = Aggregator.spatialAttention(.init(reductions: [3])).make(
        store.root, width: 8, sources: 1, outputs: 16)
    }
    await #expect(processExitsWith: .failure) {
      let store = ParameterStore(device: .meta)
      _ = Aggregator.spatialCrossAttention(heads: 3).make(store.root, width: 8, sources: 1, outputs: 16)
    }
  }
}
