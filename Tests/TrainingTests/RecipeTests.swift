import Foundation
import Testing
import Torch
import Training

@Suite struct RecipeTests {
  @Test func fieldsLeftOutHaveTheDefaults() throws {
    let recipe = try Recipe(yaml: "epochs: 3\noptimizer:\n  learning_rate: 5e-4\n", source: "test")
    var expected = Recipe()
    expected.epochs = 3
    expected.optimizer.learningRate = 5e-4
    #expect(recipe == expected)
    #expect(try Recipe(yaml: "", source: "test") == Recipe())
  }

  @Test func everyLevelIsRead() throws {
    let recipe = try Recipe(
      yaml: """
        ema_decay: 0.9
        precision: bfloat16
        data:
          kind: imagefolder
          path: a folder
          augmentation: {crop: resized, crop_area: [0.5, 1], horizontal_flip: 0.5}
        model: {drop_path: 0.1, depths: [1, 1, 2, 1], widths: null}
        mixing: {mixup: 0.8, cutmix: 1}
        """, source: "test")
    #expect(recipe.emaDecay == 0.9)
    #expect(recipe.precision == .bfloat16)
    #expect(recipe.data.kind == .imagefolder)
    #expect(recipe.data.path == "a folder")
    #expect(recipe.data.augmentation.cropArea == [0.5, 1])
    #expect(recipe.model.depths == [1, 1, 2, 1])
    #expect(recipe.model.widths == nil)
    #expect(recipe.mixing.cutmix == 1)
    #expect(recipe.mixing.switchProbability == 0.5)
  }

  @Test func resolvedFormsReadBackEqual() throws {
    var recipe = Recipe()
    recipe.optimizer.learningRate = 1.0 / 3
    recipe.schedule.minLearningRate = 1e-9
    recipe.data.path = "it's: a # path"
    recipe.emaDecay = 0.1 + 0.2
    recipe.seed = .max
    #expect(try Recipe(yaml: recipe.yaml(), source: "test") == recipe)
    #expect(try Recipe(yaml: recipe.json(), source: "test") == recipe)
  }

  @Test(
    arguments: [
      ("layout: null", nil, MemoryFormat.channelsLast), ("", nil, .channelsLast),
      ("layout: contiguous", nil, nil), ("layout: channels_last", .channelsLast, .channelsLast),
    ] as [(String, MemoryFormat?, MemoryFormat?)])
  func anOpenLayoutIsTheDevices(yaml: String, cpu: MemoryFormat?, gpu: MemoryFormat?) throws {
    let recipe = try Recipe(yaml: yaml, source: "test")
    #expect(recipe.memoryFormat(on: .cpu) == cpu)
    #expect(recipe.memoryFormat(on: .cuda(0)) == gpu)
    #expect(try Recipe(yaml: recipe.yaml(), source: "test") == recipe)
  }

  @Test func overridesWin() throws {
    let recipe = try Recipe(
      yaml: "epochs: 3\nbatch_size: 8", source: "test",
      overrides: [("epochs", "5"), ("optimizer.learning_rate", "0.25"), ("data.path", "'x y'")])
    #expect(recipe.epochs == 5)
    #expect(recipe.batchSize == 8)
    #expect(recipe.optimizer.learningRate == 0.25)
    #expect(recipe.data.path == "x y")
  }

  @Test(arguments: [
    ("epoch: 3", ["`epoch` is not a known key (line 1)", "ema_decay, epochs"]),
    (
      "seed: 1\noptimizer:\n  lr: 1",
      ["`optimizer.lr` is not a known key (line 3)", "epsilon, layer_decay, learning_rate"]
    ),
    ("epochs: many", ["`epochs` must be a whole number, got `many`", "line 1"]),
    ("epochs: 1.5", ["`epochs` must be a whole number, got `1.5`"]),
    ("epochs: [1]", ["`epochs` must be a single value, got `- 1`"]),
    ("optimizer: {betas: 1}", ["`optimizer.betas` must be a list, got `1`"]),
    (
      "optimizer:\n  learning_rate: fast",
      ["`optimizer.learning_rate` must be a number, got `fast`", "line 2"]
    ),
    ("optimizer:\n  betas: [0.9, x]", ["`optimizer.betas", "must be a number, got `x`"]),
    ("seed: -1", ["`seed` must be a whole number that is not negative, got `-1`"]),
    ("optimizer: 3", ["`optimizer` must hold fields"]),
    ("- 3", ["must hold fields"]),
    ("model:\n  checkpointing: maybe", ["`model.checkpointing` must be true or false, got `maybe`"]),
    ("data:\n  kind: cifar", ["`data.kind` expected one of `embedded`, `imagefolder`, got `cifar`"]),
    ("model:\n  name: resnet", ["`model.name` must be one of", "`sparx_mamba_micro`", "got `resnet`"]),
    ("model:\n  depths: [1, 2]", ["`model.depths` must be 4 whole numbers"]),
    ("model:\n  widths: [16, 32, 64, 97]", ["`model.widths` must be 4 multiples of 4"]),
    ("layout: diagonal", ["`layout` expected one of `contiguous`, `channels_last`, got `diagonal`"]),
    ("precision: int8", ["`precision` expected one of `float32`, `bfloat16`, `float16`, got `int8`"]),
    ("epochs: 0", ["`epochs` must be from 1"]),
    ("epochs: 9000000000000000000", ["`epochs` must be from 1 to"]),
    ("optimizer:\n  learning_rate: .nan", ["`optimizer.learning_rate` must be at least 0"]),
    ("schedule:\n  warmup_epochs: 99", ["`schedule.warmup_epochs` must be from 0 to the run's 10 epochs"]),
    ("label_smoothing: 1", ["`label_smoothing` must be at least 0 and less than 1"]),
    ("epochs: 1\nepochs: 2", ["epochs"]),
    ("a: [", ["is not YAML"]),
    ("null", ["must hold fields"]),
  ]) func badRecipesAreRefusedInOneSentence(yaml: String, words: [String]) throws {
    let error = try #require(throws: RecipeError.self) { try Recipe(yaml: yaml, source: "a.yaml") }
    #expect(error.description.hasPrefix("a.yaml: "))
    for word in words { #expect(error.description.contains(word), "\(error.description)") }
  }

  @Test func aMissingFileIsNamed() throws {
    let error = try #require(throws: RecipeError.self) {
      try Recipe(contentsOf: URL(filePath: "/nowhere/a.yaml"))
    }
    #expect(error.description.contains("/nowhere/a.yaml: cannot be read"))
  }

  @Test func differencesAreNamed() throws {
    var other = Recipe()
    other.optimizer.weightDecay = 0.1
    other.data.augmentation.shift = 2
    let keys = try Recipe().differences(from: other).map(\.key)
    #expect(keys == ["data.augmentation.shift", "optimizer.weight_decay"])
  }

  @Test(arguments: ["demo", "digits", "digits-transfer"]) func theRecipesOfThisRepositoryAreRead(name: String)
    throws
  {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    _ = try Recipe(contentsOf: root.appending(path: "Recipes/\(name).yaml"))
  }
}
