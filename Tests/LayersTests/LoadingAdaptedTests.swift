import Layers
import TestSupport
import Testing
import Torch

private let adaptations = try? Fixture("adaptations", in: .module)

@Suite struct LoadingAdaptedTests {
  @Test func isThere() throws { #expect(try #require(adaptations).cases.count == 13) }

  /// A store with one parameter of the case's output, declared with what its sizes mean.
  private func store(for expected: Fixture.Case) throws -> ParameterStore {
    let store = ParameterStore()
    let (attributes, shape) = (expected.attributes, try expected.output().shape)
    func grid() throws -> (height: Int, width: Int) {
      (try attributes["height"].int(), try attributes["width"].int())
    }
    switch expected.name.split(separator: " ").first {
    case "positions":
      let extra = (try? attributes["extra"].int()).map(PositionGrid.Extra.leading) ?? .middle
      let grid = PositionGrid(height: try grid().height, width: try grid().width, extra: extra)
      _ = store.root.positionTable("table", grid, channels: shape[2])
    case "relative":
      _ = store.root.relativePositionTable(
        "table", height: try grid().height, width: try grid().width, heads: shape[1])
    case "map":
      _ = store.root.parameter("table", shape, .zeros)
      store.root.adapts("table", as: .map)
    case "image":
      _ = store.root.parameter("table", shape, .zeros)
      store.root.adapts("table", as: .imageChannels)
    default: Issue.record("no parameter is known for the case '\(expected.name)'")
    }
    return store
  }

  @Test(arguments: adaptations?.cases ?? []) func officialValues(_ expected: Fixture.Case) throws {
    let store = try store(for: expected)
    let given = try expected.input("given")
    let report = try store.load(adapting: ["table": given], from: "file")
    let table = try #require(store["table"]).tensor
    expectClose(table, try expected.output(), 2e-6, expected.testDescription)
    #expect(table.requiresGradient)
    #expect(report.loaded.isEmpty)
    #expect(report.changes.map(\.given) == [given.shape])
    #expect(report.changes.map(\.shape) == [table.shape])
  }

  /// A head, a table of positions and a first convolution, and a norm that is as in any other.
  private func model(classes: Int = 3, channels: Int = 3, side: Int = 2, width: Int = 4) -> ParameterStore {
    let store = ParameterStore()
    _ = Conv2d(store.root["stem"], channels, width, kernel: 3)
    store.root["stem"].adapts("weight", as: .imageChannels)
    _ = store.root.positionTable("positions", PositionGrid(height: side, width: side), channels: width)
    _ = BatchNorm2d(store.root["norm"], width)
    _ = Linear.classifier(store.root["head"], width, classes: classes)
    return store
  }

  private func values(_ store: ParameterStore) -> [String: Tensor] {
    let pairs = store.entries.map {
      ($0.key, Tensor.filled($0.tensor.shape, key: "of " + $0.key, dtype: .float64))
    }
    return Dictionary(uniqueKeysWithValues: pairs)
  }

  @Test func anEqualModelIsCopied() throws {
    let store = model()
    let report = try store.load(adapting: values(model()), from: "file")
    #expect(report.changes.isEmpty)
    #expect(report.loaded == store.entries.map(\.key))
    #expect("\(report)" == "file: 10 of 10 tensors loaded as they are")
  }

  @Test func aHeadOfOtherClassesKeepsItsFirstValues() throws {
    let store = model(classes: 5)
    let given = values(model())
    let report = try store.load(adapting: given, from: "file")
    #expect(report.changes.map(\.key) == ["head.weight", "head.bias"])
    #expect(
      "\(report)".contains("  head.weight  replaced, freshly drawn: 5 classes, the file has 3"), "\(report)")
    let fresh = model(classes: 5)
    for key in ["head.weight", "head.bias"] {
      expectClose(try #require(store[key]).tensor, try #require(fresh[key]).tensor, 0, key)
    }
    expectClose(try #require(store["norm.weight"]).tensor, try #require(given["norm.weight"]).to(.float32), 0)
  }

  @Test func allChangesAreReported() throws {
    let report = try model(classes: 1, channels: 1, side: 3).load(adapting: values(model()), from: "file")
    let text = "\(report)"
    for words in [
      "file: 6 of 10 tensors", "stem.weight  adapted: 3 image channels to 1, summed",
      "positions    resized: [1, 4, 4] to [1, 9, 4]", "head.bias    replaced",
    ] { #expect(text.contains(words), "\(text)") }
  }

  @Test func whatNoRuleCoversIsOneErrorAndNothingChanges() throws {
    let store = model(classes: 5, channels: 1, side: 3)
    let before = store.entries.map { $0.tensor.detached().clone() }
    var given = values(model())
    given["norm.bias"] = nil
    given["norm.weight"] = .ones([7])
    given["extra"] = .ones([1])
    given["head.weight"] = .ones([3, 9])
    given["stem.weight"] = .ones([4, 3, 5, 5])
    given["positions"] = .ones([1, 5, 4])
    let error = try #require(throws: ParameterMismatch.self) { try store.load(adapting: given, from: "file") }
    #expect(error.missing == ["norm.bias"])
    #expect(error.unexpected == ["extra"])
    #expect(error.misshaped.map(\.key) == ["stem.weight", "positions", "norm.weight", "head.weight"])
    for (entry, old) in zip(store.entries, before) { expectClose(entry.tensor, old, 0, entry.key) }
  }

  @Test(arguments: [
    (Adaptation.relativePositions(height: 3, width: 3), [25, 2], [16, 2]),
    (.relativePositions(height: 3, width: 3), [25, 2], [9, 3]),
    (.positions(PositionGrid(height: 3, width: 3, extra: .leading(1))), [1, 10, 2], [1, 4, 2]),
    (.positions(PositionGrid(height: 3, width: 3)), [1, 9, 2], [9, 2]),
    (.positions(PositionGrid(height: 3, width: 3)), [2, 9, 2], [2, 4, 2]),
    (.map, [2, 4, 4], [3, 4, 5]), (.imageChannels, [2, 1, 3, 3], [2, 0, 3, 3]), (.classes, [2, 4], [3, 5]),
  ]) func shapesThatARuleDoesNotKnowAreRefused(rule: Adaptation, shape: [Int], given: [Int]) {
    let store = ParameterStore()
    _ = store.root.parameter("table", shape, .zeros)
    store.root.adapts("table", as: rule)
    #expect(throws: ParameterMismatch.self) { try store.load(adapting: ["table": .zeros(given)]) }
  }
}

@Suite struct FreezingTests {
  private func model() -> ParameterStore {
    let store = ParameterStore()
    _ = BatchNorm2d(store.root["layers.0.norm"], 2)
    _ = Linear(store.root["layers.10"], 2, 2)
    _ = Linear(store.root["head"], 2, 2)
    return store
  }

  @Test(arguments: [
    ("layers.*", ["layers.0.norm.weight", "layers.0.norm.bias", "layers.10.weight", "layers.10.bias"]),
    ("*.norm.*", ["layers.0.norm.weight", "layers.0.norm.bias"]),
    ("layers.?.*", ["layers.0.norm.weight", "layers.0.norm.bias"]),
    ("layers.1?.bias", ["layers.10.bias"]),
    ("head.weight", ["head.weight"]),
    ("layers", []), ("*running_mean", []), ("weight", []),
  ]) func patternsMatchWholeKeysOfParameters(pattern: String, keys: [String]) {
    let store = model()
    #expect(store.freeze(pattern) == keys)
    #expect(store.entries.filter { $0.kind == .frozen }.map(\.key) == keys)
    for entry in store.entries {
      #expect(entry.tensor.requiresGradient == (entry.kind == .parameter), "\(entry.key)")
    }
    #expect(store.parameters.count == 6 - keys.count)
    #expect(store.parameterCount + store.frozenCount == 2 + 2 + 4 + 2 + 4 + 2)
  }

  @Test func aFrozenBatchNormIsAsInEvaluation() throws {
    let store = ParameterStore()
    let norm = BatchNorm2d(store.root, 3)
    try store.load(
      Dictionary(
        uniqueKeysWithValues: store.entries.map {
          ($0.key, Tensor.filled($0.tensor.shape, key: $0.key, low: 0.5, high: 2, dtype: .float64))
        }))
    let x = Tensor.filled([2, 3, 2, 2], key: "x", dtype: .float64).to(.float32)
    let (before, expected) = (store.entries.map { $0.tensor.bytes() }, norm(x))
    store.mode.isTraining = true
    store.freeze("weight")
    store.freeze("bias")
    expectClose(norm(x), expected, 0)
    #expect(store.entries.map { $0.tensor.bytes() } == before)
  }

  @Test func aBatchNormFrozenInPartGathersStatistics() throws {
    let store = ParameterStore()
    let norm = BatchNorm2d(store.root, 3)
    store.freeze("weight")
    store.mode.isTraining = true
    _ = norm(.ones([2, 3, 2, 2]))
    #expect(norm.runningMean.sum().item() != 0)
  }
}
