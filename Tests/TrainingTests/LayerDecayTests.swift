import Backbones
import Layers
import TestSupport
import Testing
import Torch

@testable import Training

@Suite(.serialized, .steadyKernels) struct LayerDecayTests {
  init() { Engine.threadCount = 1 }

  private func trained(_ change: (inout Recipe) -> Void) async throws -> (before: Values, after: Values) {
    let recipe = tinyRecipe {
      $0.epochs = 1
      $0.model.dropPath = 0
      $0.emaDecay = nil
      change(&$0)
    }
    let trainer = try Trainer(recipe, data: recipe.makeData())
    let before = Values(trainer.model)
    _ = try await trainer.run()
    return (before, Values(trainer.model))
  }

  private struct Values {
    let tensors: [String: Tensor]

    init(_ model: Backbones.Model) {
      tensors = Dictionary(
        uniqueKeysWithValues: model.store.entries.map { ($0.key, $0.tensor.detached().clone()) })
    }

    var bytes: [String: [UInt8]] { tensors.mapValues { $0.bytes() } }

    /// How far the largest element of a tensor has moved.
    func change(_ key: String, from other: Values) throws -> Double {
      try (#require(tensors[key]) - #require(other.tensors[key])).abs().max().item()
    }
  }

  /// The factors of a network with 1, 1, 2 and 1 layers: seven groups.
  @Test(
    arguments: [
      ("patch_embed.0.weight", 0.5, 6), ("patch_embed.1.bias", 0, 6),
      ("layers.0.blocks.0.mlp.fc1.weight", 0.5, 5),
      ("layers.0.downsample.0.weight", 0.5, 4), ("layers.1.blocks.0.norm.weight", 0, 4),
      ("layers.2.blocks.0.op.A_logs", 0.5, 3), ("layers.2.blocks.1.op.A_logs", 0.5, 2),
      ("layers.2.downsample.1.weight", 0, 1), ("layers.3.blocks.0.mlp.fc2.bias", 0, 1),
      ("classifier.0.weight", 0, 0), ("classifier.3.weight", 0.5, 0), ("classifier.3.bias", 0, 0),
    ] as [(String, Double, Int)])
  func factorsByHand(_ key: String, _ weightDecay: Double, _ layersAbove: Int) throws {
    var recipe = tinyRecipe()
    (recipe.optimizer.layerDecay, recipe.optimizer.weightDecay) = (0.5, 0.5)
    let store = recipe.makeModel(classes: 3).store
    let groups = store.optimizerGroups(recipe.optimizer)
    #expect(groups.flatMap(\.entries).count == store.parameters.count)
    #expect(Set(groups.flatMap(\.entries).map(\.key)).count == store.parameters.count)
    let found = groups.filter { $0.entries.contains { $0.key == key } }
    #expect(found.count == 1)
    let group = try #require(found.first).parameters
    #expect(group.learningRateScale == [1, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625][layersAbove])
    #expect(group.weightDecay == weightDecay)
    #expect(group.parameters.count == found.first?.entries.count)
  }

  @Test func withoutDecayThereAreTheTwoGroupsOfWeightDecay() {
    let recipe = tinyRecipe()
    let store = recipe.makeModel(classes: 3).store
    let groups = store.optimizerGroups(recipe.optimizer)
    #expect(groups.map(\.parameters.learningRateScale) == [1, 1])
    let (decaying, others) = store.decayGroups()
    #expect(groups.map { $0.entries.map(\.key) } == [decaying.map(\.key), others.map(\.key)])
  }

  /// A decay so near to 1 that no rate changes in its digits divides the parameters and changes no bit.
  @Test func equalRatesInMoreGroupsChangeNoBit() async throws {
    let plain = try await trained { _ in }
    let divided = try await trained { $0.optimizer.layerDecay = 1 - 1e-16 }
    #expect(plain.after.bytes == divided.after.bytes)
    #expect(plain.after.bytes != plain.before.bytes)
  }

  @Test func aTinyDecayLeavesTheStemAlmostAlone() async throws {
    let (before, after) = try await trained { $0.optimizer.layerDecay = 1e-2 }
    #expect(try after.change("classifier.3.weight", from: before) > 1e-4)
    #expect(try after.change("layers.3.blocks.0.mlp.fc1.weight", from: before) > 1e-6)
    #expect(try after.change("layers.3.blocks.0.mlp.fc1.weight", from: before) < 1e-4)
    #expect(try after.change("layers.1.blocks.0.mlp.fc1.weight", from: before) < 1e-8)
    #expect(try after.change("patch_embed.0.weight", from: before) < 1e-8)
  }

  /// Frozen layers count as groups, so that what is above and below them is stepped as without freezing.
  @Test func frozenLayersStayAndDoNotShiftTheOthers() async throws {
    var recipe = tinyRecipe()
    recipe.optimizer.layerDecay = 0.5
    let store = recipe.makeModel(classes: 3).store
    store.freeze("layers.2.*")
    let scales = Dictionary(
      uniqueKeysWithValues: store.optimizerGroups(recipe.optimizer).flatMap { group in
        group.entries.map { ($0.key, group.parameters.learningRateScale) }
      })
    #expect(scales["layers.2.blocks.0.norm.weight"] == nil)
    #expect(scales["layers.1.blocks.0.norm.weight"] == 0.0625)
    let (before, after) = try await trained {
      $0.optimizer.layerDecay = 0.5
      $0.model.freeze = ["layers.2.*"]
    }
    #expect(try after.change("layers.2.blocks.1.mlp.fc1.weight", from: before) == 0)
    #expect(try after.change("layers.1.blocks.0.mlp.fc1.weight", from: before) > 0)
  }

  @Test func aStoppedRunGoesOnToTheSameNumbers() async throws {
    let recipe = tinyRecipe { $0.optimizer.layerDecay = 0.7 }
    let data = try recipe.makeData()
    let whole = try Trainer(recipe, data: data)
    _ = try await whole.run()
    try await inScratch { url in
      let folder = RunFolder(url: url)
      let stopped = try Trainer(recipe, data: data, folder: folder)
      _ = try await stopped.run { stopped.progress.step < 3 }
      let resumed = try Trainer(
        recipe, data: data, folder: folder, resuming: Checkpoint(contentsOf: folder.last))
      _ = try await resumed.run()
      #expect(Values(resumed.model).bytes == Values(whole.model).bytes)
      #expect(
        try Values(#require(resumed.average).model).bytes == Values(#require(whole.average).model).bytes)
    }
  }

  @Test(arguments: ["0", "1.01", "-0.5", ".nan"]) func impossibleDecaysAreRefused(_ value: String) throws {
    let error = try #require(throws: RecipeError.self) {
      try Recipe(yaml: "optimizer: {layer_decay: \(value)}", source: "a.yaml")
    }
    #expect(
      error.description.contains("`optimizer.layer_decay` must be more than 0 and at most 1"), "\(error)")
    #expect(
      try Recipe(yaml: "optimizer: {layer_decay: 0.75}", source: "a").optimizer.layerDecay == 0.75)
  }
}
