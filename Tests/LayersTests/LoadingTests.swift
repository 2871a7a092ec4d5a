import Layers
import TestSupport
import Testing
import Torch

@Suite struct LoadingTests {
  private func model() -> (store: ParameterStore, values: [String: Tensor]) {
    let store = ParameterStore()
    _ = Linear(store.root["layer1"], 2, 3)
    _ = BatchNorm2d(store.root["layer10"], 3)
    let values = store.entries.map { entry in
      (entry.key, Tensor.filled(entry.tensor.shape, key: entry.key, dtype: .float64).to(entry.tensor.dtype))
    }
    return (store, Dictionary(uniqueKeysWithValues: values))
  }

  private func expectLoaded(_ store: ParameterStore, _ values: [String: Tensor]) throws {
    for entry in store.entries {
      expectClose(entry.tensor, try #require(values[entry.key]).to(entry.tensor.dtype), 0, entry.key)
    }
  }

  @Test func everythingIsCopiedAndConverted() throws {
    let (store, values) = model()
    let weight = try #require(store["layer1.weight"]?.tensor)
    try store.load(values.mapValues { $0.dtype == .float32 ? $0.to(.float64) : $0 })
    try expectLoaded(store, values)
    #expect(weight.dtype == .float32 && weight.requiresGradient)
  }

  @Test func everyDifferenceIsInOneErrorAndNothingChanges() throws {
    let (store, values) = model()
    let before = store.entries.map { $0.tensor.detached().clone() }
    var wrong = values
    wrong["layer1.weight"] = nil
    wrong["layer10.bias"] = nil
    wrong["head.weight"] = .zeros([1])
    wrong["layer1.bias"] = .zeros([4])
    let error = #expect(throws: ParameterMismatch.self) { try store.load(wrong, from: "model.safetensors") }
    #expect(error?.missing == ["layer1.weight", "layer10.bias"])
    #expect(error?.unexpected == ["head.weight"])
    #expect(error?.misshaped.map(\.key) == ["layer1.bias"])
    let sentence = "\(try #require(error))"
    for part in [
      "model.safetensors", "2 missing", "1 unexpected", "layer1.bias: the model has [3], the file has [4]",
    ] {
      #expect(sentence.contains(part), "\(sentence)")
    }
    for (entry, old) in zip(store.entries, before) { expectClose(entry.tensor, old, 0, entry.key) }
  }

  @Test func transferTakesWhatFitsBelowAPrefix() throws {
    let (store, values) = model()
    let old = try #require(store["layer1.bias"]?.tensor).detached().clone()
    var given = Dictionary(uniqueKeysWithValues: values.map { ("backbone.\($0.key)", $0.value) })
    given["backbone.layer1.bias"] = .zeros([4])
    given["backbone.layer10.running_mean"] = nil
    given["backbone.extra"] = .zeros([1])
    given["backbone2.layer1.weight"] = .zeros([3, 2])
    given["head.weight"] = .zeros([1])
    let report = store.transfer(given, prefix: "backbone")
    #expect(report.missing == ["layer10.running_mean"])
    #expect(report.misshaped == ["layer1.bias"])
    #expect(report.unexpected == ["backbone2.layer1.weight", "extra", "head.weight"])
    #expect(
      report.loaded.sorted()
        == (Set(values.keys).subtracting(["layer1.bias", "layer10.running_mean"])).sorted())
    expectClose(try #require(store["layer1.bias"]?.tensor), old, 0)
    expectClose(try #require(store["layer1.weight"]?.tensor), try #require(values["layer1.weight"]), 0)
  }

  @Test func transferWithoutAPrefixIsByTheWholeKey() throws {
    let (store, values) = model()
    let report = store.transfer(values)
    #expect(report.missing.isEmpty && report.unexpected.isEmpty && report.misshaped.isEmpty)
    try expectLoaded(store, values)
  }

  /// Older names are of whole components, and a place's rules are its own.
  @Test func olderNamesAreRenamed() throws {
    let store = ParameterStore()
    for index in [1, 10] {
      let place = store.root["layers"][index]
      _ = Linear(place["new"], 2, 3)
      place.renames("old", to: "new")
    }
    _ = Linear2d(store.root["map"], 2, 3, bias: false)
    let file: [String: Tensor] = [
      "layers.1.old.weight": .ones([3, 2]), "layers.1.old.bias": .ones([3]),
      "layers.10.new.weight": .ones([3, 2]), "layers.10.old.bias": .full([3], 2),
      "map.weight": .full([3, 2, 1, 1], 3),
    ]
    let translation = try store.load(file)
    #expect(
      translation.renamed.map(\.old) == ["layers.1.old.bias", "layers.1.old.weight", "layers.10.old.bias"])
    #expect(
      translation.renamed.map(\.new) == ["layers.1.new.bias", "layers.1.new.weight", "layers.10.new.bias"])
    #expect(
      "\(translation)" == "3 under older names (old is new); 1 as convolutions of 1 by 1", "\(translation)")
    expectEqual(try #require(store["layers.10.new.bias"]).tensor, [2, 2, 2], [3])
    expectEqual(try #require(store["map.weight"]).tensor, [3, 3, 3, 3, 3, 3], [3, 2])

    var other = file
    other["layers.1.older.bias"] = other.removeValue(forKey: "layers.1.old.bias")
    other["old.bias"] = .ones([3])
    let error = try #require(throws: ParameterMismatch.self) { try store.load(other) }
    #expect(error.unexpected == ["layers.1.older.bias", "old.bias"])
    #expect(error.missing == ["layers.1.new.bias"])
  }
}
