import Backbones
import Data
import Foundation
import Layers
import TestSupport
import Testing
import Torch

@testable import Training

/// A run small enough for a second: one layer a stage, four channels a head.
func tinyRecipe(_ change: (inout Recipe) -> Void = { _ in }) -> Recipe {
  var recipe = Recipe()
  recipe.epochs = 2
  recipe.batchSize = 4
  recipe.data.imageSize = 32
  recipe.data.trainingCount = 16
  recipe.data.validationCount = 6
  recipe.data.augmentation.crop = .shifted
  recipe.data.augmentation.horizontalFlip = 0.5
  recipe.model.depths = [1, 1, 2, 1]
  recipe.model.widths = [8, 8, 16, 16]
  recipe.model.dropPath = 0.2
  recipe.mixing.mixup = 0.8
  recipe.mixing.cutmix = 1
  recipe.labelSmoothing = 0.1
  recipe.emaDecay = 0.9
  recipe.optimizer.clipNorm = 5
  recipe.schedule.warmupEpochs = 0.5
  change(&recipe)
  return recipe
}

/// Remembers what a run tells.
private final class Recorder: TrainingObserver {
  var steps: [StepRecord] = []
  var epochs: [EpochRecord] = []
  func didStep(_ record: StepRecord) { steps.append(record) }
  func didEndEpoch(_ record: EpochRecord) { epochs.append(record) }
}

extension Trainer {
  /// All tensors of the model and its average, as bytes by key.
  fileprivate var bytes: [String: [UInt8]] {
    let own = model.store.entries.map { ($0.key, $0.tensor.bytes()) }
    let averaged = average?.model.store.entries.map { ("average." + $0.key, $0.tensor.bytes()) } ?? []
    return Dictionary(uniqueKeysWithValues: own + averaged)
  }

  fileprivate func recorded(stoppingAfter stop: Int = .max) async throws -> Recorder {
    let recorder = Recorder()
    observers.append(recorder)
    _ = try await run { progress.step < stop }
    return recorder
  }
}

func inScratch<Result>(_ body: (URL) async throws -> Result) async throws -> Result {
  let folder = FileManager.default.temporaryDirectory.appending(path: "ganglion-\(UUID().uuidString)")
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
  defer { try? FileManager.default.removeItem(at: folder) }
  return try await body(folder)
}

// One run at a time: several pools of threads at once make all of them slow.
@Suite(.serialized, .steadyKernels) struct TrainerTests {
  init() { Engine.threadCount = 1 }

  @Test func eightPicturesAreLearnedByHeart() async throws {
    let recipe = tinyRecipe {
      $0.epochs = 60
      $0.batchSize = 8
      $0.data.trainingCount = 8
      $0.data.validationCount = 1
      $0.data.augmentation = .init()
      $0.model = .init()
      $0.mixing = .init()
      $0.labelSmoothing = 0
      $0.emaDecay = nil
      $0.optimizer.learningRate = 2e-3
    }
    let recorder = try await Trainer(recipe, data: recipe.makeData()).recorded()
    #expect(try #require(recorder.steps.first).loss > 1)
    #expect(try #require(recorder.steps.last).loss < 0.1)
  }

  @Test func aSeedGivesTheSameNumbersAndAnotherDoesNot() async throws {
    let recipe = tinyRecipe()
    let first = try await Trainer(recipe, data: recipe.makeData()).recorded()
    let second = try await Trainer(recipe, data: recipe.makeData()).recorded()
    #expect(first.steps == second.steps)
    #expect(first.epochs == second.epochs)
    #expect(first.steps.count == 8)
    let other = tinyRecipe { $0.seed = 1 }
    let third = try await Trainer(other, data: other.makeData()).recorded()
    #expect(zip(first.steps, third.steps).allSatisfy { $0.loss != $1.loss })
  }

  @Test func workersChangeNoNumber() async throws {
    let recipe = tinyRecipe()
    let more = tinyRecipe { $0.workers = 3 }
    let first = try await Trainer(recipe, data: recipe.makeData()).recorded()
    let second = try await Trainer(more, data: more.makeData()).recorded()
    #expect(first.steps == second.steps)
  }

  /// Stopped in the middle of an epoch, at its last batch (validation pending), and at the first batch of the next.
  @Test(arguments: [2, 4, 5]) func aStoppedRunGoesOnToTheSameNumbers(stop: Int) async throws {
    let recipe = tinyRecipe()
    let data = try recipe.makeData()
    let whole = try Trainer(recipe, data: data)
    let expected = try await whole.recorded()
    try await inScratch { url in
      let folder = RunFolder(url: url)
      let before = try await Trainer(recipe, data: data, folder: folder).recorded(stoppingAfter: stop)
      let after = try Trainer(recipe, data: data, folder: folder)
      try after.restore(Checkpoint(contentsOf: folder.last))
      #expect(after.progress.step == stop)
      let rest = try await after.recorded()
      #expect(before.steps + rest.steps == expected.steps)
      #expect(before.epochs + rest.epochs == expected.epochs)
      #expect(after.bytes == whole.bytes)
      #expect(after.progress == whole.progress)
      #expect(try files(in: url) == ["best.safetensors", "last.safetensors"])
    }
  }

  @Test func checkpointingAndAveragesChangeNoLoss() async throws {
    let recipe = tinyRecipe { $0.epochs = 1 }
    let plain = try await Trainer(recipe, data: recipe.makeData()).recorded()
    let other = tinyRecipe {
      $0.epochs = 1
      $0.model.checkpointing = true
      $0.emaDecay = nil
    }
    let recomputed = try await Trainer(other, data: other.makeData()).recorded()
    #expect(plain.steps.count == recomputed.steps.count)
    // Recomputation adds up the gradients of a shared map in another order, so losses agree to rounding only.
    for (a, b) in zip(plain.steps, recomputed.steps) { #expect(abs(a.loss - b.loss) < 1e-5 * a.loss) }
  }

  @Test func anotherRecipeIsRefusedByField() async throws {
    let recipe = tinyRecipe { $0.epochs = 1 }
    try await inScratch { url in
      let folder = RunFolder(url: url)
      _ = try await Trainer(recipe, data: recipe.makeData(), folder: folder).recorded(stoppingAfter: 1)
      let other = tinyRecipe {
        $0.epochs = 1
        $0.optimizer.weightDecay = 0.3
      }
      let trainer = try Trainer(other, data: try other.makeData(), folder: folder)
      let error = try #require(throws: TrainingError.self) {
        try trainer.restore(Checkpoint(contentsOf: folder.last))
      }
      #expect(error.description.contains("`optimizer.weight_decay` 0.05"), "\(error)")
      #expect(error.description.contains("now 0.3"), "\(error)")
      var free = recipe
      (free.workers, free.logSteps) = (2, 7)
      try Trainer(free, data: try free.makeData()).restore(Checkpoint(contentsOf: folder.last))
    }
  }

  @Test func aLossThatIsNoNumberStopsTheRunAndSavesNothing() async throws {
    let recipe = tinyRecipe()
    try await inScratch { url in
      let folder = RunFolder(url: url)
      let trainer = try Trainer(recipe, data: try recipe.makeData(), folder: folder)
      _ = try await trainer.run { trainer.progress.step < 2 }
      let saved = try Foundation.Data(contentsOf: folder.last)
      try #require(trainer.model.store["classifier.3.weight"]).tensor.detached().fill(.nan)
      do {
        _ = try await trainer.run()
        Issue.record("the run went on")
      } catch let error as TrainingError {
        #expect(error.description.contains("step 2: the loss is not a number at learning rate"), "\(error)")
        #expect(error.description.contains("lower learning rate"))
      }
      #expect(try Foundation.Data(contentsOf: folder.last) == saved)
    }
  }

  /// Gradients that overflow float16 halve the scale and change no parameter, and the run goes on from there.
  @Test func anOverflowInFloat16IsLeftOut() async throws {
    let recipe = tinyRecipe {
      $0.precision = .float16
      $0.epochs = 1
      $0.emaDecay = nil
    }
    let data = try recipe.makeData()
    try await inScratch { url in
      let folder = RunFolder(url: url)
      let trainer = try Trainer(recipe, data: data, folder: folder)
      let recorder = Recorder()
      trainer.observers = [recorder]
      func step(scaledBy factor: String) async throws {
        trainer.progress.lossScale = try JSONDecoder().decode(
          LossScale.self, from: Foundation.Data(#"{"factor": \#(factor), "steadySteps": 7}"#.utf8))
        let next = trainer.progress.step + 1
        _ = try await trainer.run { trainer.progress.step < next }
      }
      #expect(trainer.progress.lossScale == LossScale())
      let stem = try #require(trainer.model.store["patch_embed.0.weight"]).tensor
      try await step(scaledBy: "1024")
      #expect(trainer.progress.lossScale?.steadySteps == 8)
      let before = stem.bytes()
      try await step(scaledBy: "1e30")
      #expect(stem.bytes() == before)
      #expect(trainer.progress.lossScale?.factor == 5e29)
      try await step(scaledBy: "1024")
      #expect(stem.bytes() != before)
      #expect(recorder.steps.map { $0.gradientNorm == nil } == [false, true, false])
      #expect(recorder.steps.allSatisfy { $0.loss.isFinite })

      let resumed = try Trainer(recipe, data: data, folder: folder)
      try resumed.restore(Checkpoint(contentsOf: folder.last))
      #expect(resumed.progress.lossScale == trainer.progress.lossScale)
      let rest = try await resumed.recorded()
      #expect(rest.steps.map(\.step) == [4])
      let log = try JSONLog(folder, interval: 1)
      for step in recorder.steps { try log.didStep(step) }
      let history = try MetricsHistory(contentsOf: folder.metrics)
      #expect(history.steps.map { $0.gradientNorm == nil } == [false, true, false])
    }
  }

  /// Where even the smallest scale overflows, the run ends.
  @Test func gradientsThatAreNoNumbersStopTheRun() async throws {
    let recipe = tinyRecipe { $0.emaDecay = nil }
    let trainer = try Trainer(recipe, data: try recipe.makeData())
    // A scale so small that its inverse makes every gradient infinite.
    trainer.progress.lossScale = try JSONDecoder().decode(
      LossScale.self, from: Foundation.Data(#"{"factor": 1e-320, "steadySteps": 0}"#.utf8))
    do {
      _ = try await trainer.run()
      Issue.record("the run went on")
    } catch let error as TrainingError {
      #expect(error.description.contains("step 0: the gradients' norm is"), "\(error)")
    }
  }

  @Test func checkpointsComeAtTheIntervalAskedFor() async throws {
    let recipe = tinyRecipe {
      $0.epochs = 1
      $0.checkpointSteps = 3
    }
    try await inScratch { url in
      let folder = RunFolder(url: url)
      let trainer = try Trainer(recipe, data: try recipe.makeData(), folder: folder)
      var saved: [Int?] = []
      _ = try await trainer.run {
        saved.append(try? Checkpoint(contentsOf: folder.last).progress.step)
        return true
      }
      // Asked after each of four steps and before the two batches of validation.
      #expect(saved == [0, 0, 0, 3, 3, 3])
      #expect(try Checkpoint(contentsOf: folder.last).progress.epoch == 1)
    }
  }
}

@Suite struct WeightAverageTests {
  @Test func movesByHand() {
    let recipe = tinyRecipe()
    let (source, second) = (recipe.makeModel(classes: 3), recipe.makeModel(classes: 3))
    func value(_ model: Model, _ key: String) -> Double {
      model.store[key]?.tensor.detached().sum().item() ?? .nan
    }
    let (weight, running, counter) = (
      "classifier.3.bias", "patch_embed.1.running_mean", "patch_embed.1.num_batches_tracked"
    )
    let average = WeightAverage(of: source, decay: 0.75, in: second)
    withoutGradients {
      source.store[weight]?.tensor.fill(4)
      source.store[running]?.tensor.fill(8)
      source.store[counter]?.tensor.fill(5)
    }
    average.update(from: source)
    #expect(value(average.model, weight) == 3 * 1)
    average.update(from: source)
    // 0 → 1 → 1.75 for each of three biases, and 0 → 2 → 3.5 for each of four means.
    #expect(value(average.model, weight) == 3 * 1.75)
    #expect(value(average.model, running) == 4 * 3.5)
    #expect(value(average.model, counter) == 5)
  }
}
