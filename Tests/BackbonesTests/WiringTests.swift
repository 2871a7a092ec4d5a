import Backbones
import Layers
import TestSupport
import Testing
import Torch

private let aggregator = Aggregator.dynamicChannels(.init(reduction: 1))

/// One rule and the wiring that it gives, in the notation of `text`.
struct WiringSample: Sendable, CustomTestStringConvertible {
  let name: String
  let connection: CrossLayerConnection
  var depth = 7
  var hasInput = true
  let expected: String

  var testDescription: String { name }
}

/// The layers separated by blanks: `-` for an ordinary layer, otherwise what it sees, separated by commas.
private func text(_ wiring: Wiring) -> String {
  wiring.sources.map { seen in
    guard let seen else { return "-" }
    return seen.isEmpty ? "none" : seen.map(\.description).joined(separator: ",")
  }.joined(separator: " ")
}

@Suite struct WiringTests {
  static let samples = [
    WiringSample(name: "PlainNet", connection: .none, expected: "- - - - - - -"),
    WiringSample(
      name: "S = 2, M = 3, as SparX-Mamba-T's stage 3",
      connection: .init(.every(stride: 2), reach: .sparse(window: 3), aggregator: aggregator),
      expected: "input - 1,0 - 3,0,2 - 5,0,2,4"),
    WiringSample(
      name: "the window drops the oldest ganglion layer",
      connection: .init(.every(stride: 2), reach: .sparse(window: 2), aggregator: aggregator),
      expected: "input - 1,0 - 3,0,2 - 5,2,4"),
    WiringSample(
      name: "M = 1", connection: .init(.every(stride: 2), reach: .sparse(window: 1), aggregator: aggregator),
      expected: "input - 1,0 - 3,2 - 5,4"),
    WiringSample(
      name: "no earlier ganglion layer",
      connection: .init(.every(stride: 2), reach: .sparse(window: 0), aggregator: aggregator),
      expected: "input - 1 - 3 - 5"),
    WiringSample(
      name: "S = 3 counts back from the last layer",
      connection: .init(.every(stride: 3), reach: .sparse(window: 3), aggregator: aggregator),
      expected: "input - - 1,2,0 - - 4,5,0,3"),
    WiringSample(
      name: "S = 1", connection: .init(.every(stride: 1), aggregator: aggregator), depth: 4,
      expected: "input 0 0,1 0,1,2"),
    WiringSample(
      name: "placement starts late", connection: .init(.every(stride: 2, from: 3), aggregator: aggregator),
      expected: "- - - - input,0,1,2,3 - 5,4"),
    WiringSample(
      name: "dense ganglion connections",
      connection: .init(.every(stride: 2), reach: .dense, aggregator: aggregator), depth: 5,
      expected: "input - input,0,1 - input,0,1,2,3"),
    WiringSample(
      name: "dense sequential network",
      connection: .init(.every(stride: 1), reach: .dense, aggregator: aggregator),
      depth: 3, hasInput: false, expected: "none 0 0,1"),
    WiringSample(
      name: "the stage's input unseen",
      connection: .init(.every(stride: 2), stageInput: .unseen, aggregator: aggregator), depth: 5,
      expected: "none - 1,0 - 3,0,2"),
    WiringSample(
      name: "the stage's input as a ganglion layer",
      connection: .init(
        .every(stride: 2), reach: .sparse(window: 2), stageInput: .ganglion, aggregator: aggregator),
      depth: 7,
      expected: "input - 1,input,0 - 3,0,2 - 5,2,4"),
    WiringSample(
      name: "a first stage has no input", connection: .init(.every(stride: 2), aggregator: aggregator),
      depth: 3,
      hasInput: false, expected: "none - 1,0"),
  ]

  @Test(arguments: samples) func rules(_ sample: WiringSample) {
    #expect(text(sample.connection.wiring(depth: sample.depth, hasInput: sample.hasInput)) == sample.expected)
  }

  @Test func publishedWirings() throws {
    let expected: [(Architecture, [String])] = [
      (.sparxMambaTiny, ["- -", "- input,0", "input - 1,0 - 3,0,2 - 5,0,2,4", "input 0"]),
      (
        .sparxMambaSmall,
        [
          "- -", "- input,0",
          "- input,0 - - 2,3,1 - - 5,6,1,4 - - 8,9,1,4,7 - - 11,12,4,7,10 - - 14,15,7,10,13", "input 0",
        ]
      ),
      (
        .sparxMambaBase,
        [
          "- -", "- input,0",
          "- - input,0,1 - - 3,4,2 - - 6,7,2,5 - - 9,10,2,5,8 - - 12,13,5,8,11 - - 15,16,8,11,14 - - 18,19,11,14,17",
          "- - input,0,1",
        ]
      ),
    ]
    for (architecture, stages) in expected {
      let configuration = try #require(architecture.configuration as? SparX.Configuration)
      let own = configuration.stages.enumerated().map { index, stage in
        text(stage.connection.wiring(depth: stage.depth, hasInput: index > 0))
      }
      #expect(own == stages, "\(architecture.rawValue)")
    }
  }

  @Test func aStrideOfZeroTraps() async {
    await #expect(processExitsWith: .failure) {
      _ = CrossLayerConnection(.every(stride: 0), aggregator: .concatenation).wiring(depth: 3, hasInput: true)
    }
  }
}

/// A plain convolution that adds the mean of what it sees: a connection needs no scan.
private struct MeanOfSeen: ConnectedLayer {
  let conv: Conv2d
  let sources: Int?

  func callAsFunction(_ x: Tensor, attending seen: Tensor?) -> Tensor {
    guard let seen, let sources, sources > 0 else { return conv(x) }
    let parts = seen.chunk(sources, along: 1)
    return conv(x) + parts.dropFirst().reduce(parts[0]) { $0 + $1 } / Double(sources)
  }
}

@Suite struct ConnectedStageTests {
  private func stage(_ store: ParameterStore) -> ConnectedStage<MeanOfSeen> {
    let connection = CrossLayerConnection(
      .every(stride: 2), reach: .sparse(window: 1), aggregator: .concatenation)
    return ConnectedStage(store.root, connection, depth: 5, hasInput: true) { scope, _, sources in
      MeanOfSeen(
        conv: Conv2d(scope["conv"], 3, 3, kernel: 3, initializer: .uniform(bound: 0.5)), sources: sources)
    }
  }

  @Test func layersSeeWhatTheWiringSays() {
    let store = ParameterStore(dtype: .float64)
    let stage = stage(store)
    #expect(store.entries.map(\.key).filter { $0.hasSuffix("weight") } == (0..<5).map { "\($0).conv.weight" })
    let input = Tensor.filled([2, 3, 5, 4], key: "x", dtype: .float64)
    let conv = stage.layers.map(\.conv)
    // input - 1,0 - 3,2
    let a = conv[0](input) + input
    let b = conv[1](a)
    let c = conv[2](b) + (b + a) / 2
    let d = conv[3](c)
    let e = conv[4](d) + (d + c) / 2
    expectClose(stage(input), e, 1e-14)
  }

  @Test func checkpointingChangesNothing() throws {
    let input = Tensor.filled([2, 3, 5, 4], key: "x", dtype: .float64)
    func run(_ usesCheckpointing: Bool) -> [Tensor?] {
      let store = ParameterStore(dtype: .float64)
      let stage = stage(store)
      store.mode.usesCheckpointing = usesCheckpointing
      let x = input.clone().requiringGradient()
      let y = stage(x)
      return [y.detached()] + gradients(of: [(y * y).sum()], withRespectTo: [x] + store.parameters)
    }
    for (index, (a, b)) in zip(run(true), run(false)).enumerated() {
      expectClose(try #require(a), try #require(b), 1e-13, "result \(index)")
    }
  }
}
