import Backbones
import Layers
import Testing

@testable import Training

@Suite struct LearningRateTests {
  private static var recipe: Recipe {
    var recipe = Recipe()
    recipe.epochs = 5
    recipe.optimizer.learningRate = 0.9
    recipe.schedule = .init()
    recipe.schedule.warmupEpochs = 1
    recipe.schedule.warmupLearningRate = 0.1
    recipe.schedule.minLearningRate = 0.3
    return recipe
  }

  // Four steps an epoch: 4 of warm-up, 16 of cosine. cos(π/4) = 0.70710678, cos(π/2) = 0.
  @Test(arguments: [
    (0, 0.1), (1, 0.3), (2, 0.5), (3, 0.7), (4, 0.9), (8, 0.6 + 0.3 * 0.7071067811865476), (12, 0.6),
    (16, 0.6 - 0.3 * 0.7071067811865476), (20, 0.3), (30, 0.3),
  ]) func valuesByHand(step: Int, expected: Double) {
    let rate = Self.recipe.learningRate(stepsPerEpoch: 4)
    #expect(rate.steps == 20)
    #expect(abs(rate(step) - expected) < 1e-12)
  }

  @Test func withoutWarmUpTheFirstStepHasThePeak() {
    var recipe = Self.recipe
    recipe.schedule.warmupEpochs = 0
    #expect(abs(recipe.learningRate(stepsPerEpoch: 4)(0) - 0.9) < 1e-12)
  }

  @Test func partsOfAnEpochCount() {
    var recipe = Self.recipe
    recipe.schedule.warmupEpochs = 0.5
    #expect(recipe.learningRate(stepsPerEpoch: 4).warmupSteps == 2)
  }
}

@Suite struct WeightDecayTests {
  private let groups = Recipe().makeModel(classes: 10).store.decayGroups()

  @Test(arguments: [
    ("patch_embed.0.weight", true), ("patch_embed.1.weight", false), ("patch_embed.1.bias", false),
    ("layers.0.blocks.0.op.A_logs", true), ("layers.0.blocks.0.op.dt_projs_bias", true),
    ("layers.0.blocks.0.op.dt_projs_weight", true), ("layers.0.blocks.0.op.Ds", false),
    ("layers.2.blocks.0.layerscale_1.weight", true), ("layers.2.blocks.0.layerscale_1.bias", false),
    ("classifier.3.weight", true), ("classifier.3.bias", false),
  ]) func thePublishedRule(key: String, decays: Bool) {
    #expect(groups.decaying.contains { $0.key == key } == decays)
    #expect(groups.others.contains { $0.key == key } == !decays)
  }

  @Test func everyParameterIsInOneGroup() {
    let store = Recipe().makeModel(classes: 10).store
    let keys = (groups.decaying + groups.others).map(\.key)
    #expect(keys.count == store.parameters.count)
    #expect(Set(keys).count == keys.count)
  }
}
