import Layers
import TestSupport
import Testing
import Torch

@Suite struct ParameterStoreTests {
  @Test func keysAreThePathsOfTheScopes() {
    let store = ParameterStore()
    let block = store.root["layers"][2]["blocks.1"]
    _ = Conv2d(block["op.in_proj"], 4, 8, kernel: 1)
    _ = BatchNorm2d(block["norm"], 4)
    #expect(
      store.entries.map(\.key) == [
        "layers.2.blocks.1.op.in_proj.weight", "layers.2.blocks.1.op.in_proj.bias",
        "layers.2.blocks.1.norm.weight",
        "layers.2.blocks.1.norm.bias", "layers.2.blocks.1.norm.running_mean",
        "layers.2.blocks.1.norm.running_var",
        "layers.2.blocks.1.norm.num_batches_tracked",
      ])
    #expect(
      store.entries.map(\.kind) == [
        .parameter, .parameter, .parameter, .parameter, .buffer, .buffer, .buffer,
      ])
    #expect(store["layers.2.blocks.1.op.in_proj.weight"]?.tensor.shape == [8, 4, 1, 1])
    #expect(store["layers.2.blocks.1.norm.num_batches_tracked"]?.tensor.dtype == .int64)
    #expect(store["layers.2.blocks.1.op"] == nil)
    #expect(store.parameterCount == 8 * 4 + 8 + 4 + 4)
  }

  @Test func onlyParametersRequireGradients() {
    let store = ParameterStore()
    _ = BatchNorm2d(store.root, 3)
    for entry in store.entries {
      #expect(entry.tensor.requiresGradient == (entry.kind == .parameter), "\(entry.key)")
    }
  }

  @Test func prefixesAreComparedByComponent() {
    let store = ParameterStore()
    _ = store.root["layer1"].parameter("weight", [1], .ones)
    _ = store.root["layer10"].parameter("weight", [2], .ones)
    _ = store.root["layer1"]["deep"].parameter("weight", [3], .ones)
    #expect(store.parameters(in: store.root["layer1"]).map(\.count) == [1, 3])
    #expect(store.parameters(in: store.root).count == 3)
  }

  @Test func sharedParametersAreOneTensor() throws {
    let store = ParameterStore()
    let table = store.root.parameter("relative_pos_enc", [2, 2], .ones)
    let users = [Linear(store.root["a"], 2, 2), Linear(store.root["b"], 2, 2)]
    let x = Tensor.ones([1, 2])
    let loss = users.reduce(Tensor(Float(0))) { $0 + ($1(x) + table).sum() }
    loss.backward()
    #expect(store.entries.count { $0.tensor.isSame(as: table) } == 1)
    expectEqual(try #require(table.gradient), [2, 2, 2, 2], [2, 2])
  }

  @Test func decayIsAnExceptionThatStands() {
    let store = ParameterStore()
    _ = store.root.parameter("a", [1], .zeros)
    _ = store.root.parameter("b", [1], .zeros, decays: false)
    #expect(store.entries.map(\.decays) == [true, false])
  }

  @Test func clearingForgetsGradients() {
    let store = ParameterStore()
    let layer = Linear(store.root, 2, 2)
    layer(.ones([1, 2])).sum().backward()
    #expect(layer.weight?.gradient != nil)
    store.clearGradients()
    #expect(layer.weight?.gradient == nil && layer.bias?.gradient == nil)
  }

  @Test func dtypeIsTheStores() {
    let store = ParameterStore(dtype: .float64)
    _ = BatchNorm2d(store.root, 3)
    #expect(store.entries.map(\.tensor.dtype) == [.float64, .float64, .float64, .float64, .int64])
  }

  @Test func aDuplicateKeyTraps() async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      let store = ParameterStore()
      _ = store.root["norm"].parameter("weight", [1], .ones)
      _ = store.root.parameter("norm.weight", [1], .ones)
    }
    let message = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
    #expect(message.contains("the parameter key `norm.weight` is declared twice"))
  }
}
