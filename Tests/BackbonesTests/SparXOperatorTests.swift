import Layers
import Scan
import TestSupport
import Testing
import Torch

@testable import Backbones

private let operators = try? Fixture("sparx_ss2d", in: .module)
private let attention = try? Fixture("sparx_dmca_attention", in: .module)

extension ParameterStore {
  /// Loads a fixture's tensors; only the counters of batches, which it does not list, may stay.
  func loadAll(_ state: [String: Tensor], sourceLocation: SourceLocation = #_sourceLocation) {
    let report = transfer(state)
    let missing = report.missing.filter { !$0.hasSuffix("num_batches_tracked") }
    #expect(
      missing.isEmpty && report.unexpected.isEmpty && report.misshaped.isEmpty, "\(report)",
      sourceLocation: sourceLocation)
  }
}

@Suite struct SparXOperatorTests {
  @Test func referencesAreThere() throws {
    #expect(try #require(operators).cases.count == 6)
    #expect(try #require(attention).cases.count >= 2)
  }

  /// The whole operator: projection or aggregator, convolution, scan, norm and projection.
  @Test(arguments: operators?.cases ?? [], ScanKernel.allCases)
  func mixerWithItsEntry(_ expected: Fixture.Case, _ kernel: ScanKernel) throws {
    for (dtype, output, gradient) in [(DType.float64, 1e-11, 1e-11), (.float32, 2e-5, 2e-3)] {
      let store = ParameterStore(dtype: dtype)
      let width = try expected.attributes["dim"].int()
      let sources = try expected.attributes["shortcut_layers"].int()
      let connection = CrossLayerConnection(
        .none, aggregator: .dynamicChannels(.init(reduction: try expected.attributes["sr_ratio"].int())))
      let stage = SparX.Stage(depth: 1, width: width, connection: connection)
      let scan = Scan2DMixer.declareScan(store.root, width: width, expansion: 2, states: 1)
      let entry = SparXEntry(store.root, stage, sources: sources == 0 ? nil : sources, outputs: 2 * width)
      let mixer = Scan2DMixer(store.root, scan, width: width, expansion: 2, kernel: 5)
      store.loadAll(try expected.state())
      store.mode.isTraining = try expected.content["mode"].string() == "train"

      let inputs = try expected.inputs(dtype).mapValues { $0.requiringGradient() }
      let label = "\(expected.testDescription) \(kernel) \(dtype)"
      try withScanKernel(kernel) {
        let y = mixer(entry(try #require(inputs["x"]), inputs["shortcut"]))
        expectClose(y, try expected.output(), output, label)
        let parameters = store.entries.filter { $0.kind == .parameter }.map { ($0.key, $0.tensor) }
        try expectGradients(
          of: y, Dictionary(uniqueKeysWithValues: parameters).merging(inputs) { $1 }, match: expected,
          gradient)
      }
      for (key, statistics) in try expected.tensors("buffers_after") {
        expectClose(try #require(store[key]).tensor, statistics, output, "\(label) \(key)")
      }
    }
  }

  @Test(arguments: attention?.cases ?? []) func attentionOverChannels(_ expected: Fixture.Case) throws {
    let groups = try expected.attributes["groups"].int()
    for (dtype, output, gradient) in [(DType.float64, 1e-11, 1e-11), (.float32, 2e-5, 2e-3)] {
      let inputs = try expected.inputs(dtype).mapValues { $0.requiringGradient() }
      func grouped(_ name: String) throws -> Tensor {
        let x = try #require(inputs[name])
        return x.reshape(x.size(0) * groups, x.size(1) / groups, -1)
      }
      let y = Tensor.attention(query: try grouped("q"), key: try grouped("k"), value: try grouped("v"))
        .reshape(try #require(inputs["v"]).shape)
      expectClose(y, try expected.output(), output, expected.testDescription)
      try expectGradients(of: y, inputs, match: expected, gradient)
    }
  }

  @Test func feedForward() throws {
    let expected = try Fixture("mlp", in: .module).case("mlp")
    for (dtype, tolerance) in [(DType.float64, 1e-11), (.float32, 2e-5)] {
      let store = ParameterStore(dtype: dtype)
      let layer = ConvFeedForward(store.root, 6, hidden: 24)
      try store.load(expected.state())
      let x = try expected.input("input", dtype).requiringGradient()
      let y = layer(x)
      expectClose(y, try expected.output(), tolerance)
      var variables = Dictionary(uniqueKeysWithValues: store.entries.map { ($0.key, $0.tensor) })
      variables["input"] = x
      try expectGradients(of: y, variables, match: expected, tolerance)
    }
  }

  @Test(arguments: ScanKernel.allCases) func aWholeTinyNetwork(_ kernel: ScanKernel) throws {
    let expected = try Fixture("sparx_tiny_net", in: .module).case("tiny_net").content
    let configuration = SparX.Configuration.published(
      depths: [1, 2, 7, 2], widths: [8, 8, 16, 16], stem: .twoConvolutions, stride: 2, window: 2)
    for (dtype, tolerance) in [(DType.float64, 1e-11), (.float32, 2e-5)] {
      let store = ParameterStore(dtype: dtype)
      let model = SparX(store.root, configuration, head: .classifier(classes: 5))
      var filled: [String: Tensor] = [:]
      func fill(_ entry: JSON, prefix: String) throws -> Tensor {
        Tensor.filled(
          try entry["shape"].ints(), key: prefix + (try entry["key"].string()), low: try entry["lo"].number(),
          high: try entry["hi"].number(), dtype: dtype)
      }
      for entry in try expected["state"].array() {
        filled[try entry["key"].string()] = try fill(entry, prefix: "op:tiny_net/")
      }
      store.loadAll(filled)
      for (key, channels) in try expected["d_norm_channels"].object() {
        #expect(store[key]?.tensor.shape == [try channels.int()], "\(key)")
      }
      let images = try fill(expected["input"], prefix: "")
      let logits = withScanKernel(kernel) { withoutGradients { model(images) } }
      expectClose(logits, try expected["output"].tensor(), tolerance, "\(kernel) \(dtype)")
    }
  }
}
