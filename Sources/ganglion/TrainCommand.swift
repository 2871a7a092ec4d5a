import Backbones
import ArgumentParser
import Data
import Foundation
import Layers
import Training

struct TrainCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train",
    abstract: "Train a model as a recipe says.",
    discussion: """
      A recipe is a YAML file that describes a run completely; flags override its fields. The run's folder gets the \
      recipe as resolved, metrics.jsonl, TensorBoard events, last.safetensors (to resume from) and best.safetensors \
      (the weights of the best epoch, to evaluate and predict with).

      Ctrl-C ends the run after the current step with a checkpoint; --resume goes on to the same numbers.

      Examples:
        ganglion train --recipe Recipes/demo.yaml --output runs/demo
        ganglion train --recipe Recipes/digits.yaml --data digits --epochs 10
        ganglion train --resume --output runs/demo
      """)

  @Option(help: ArgumentHelp("The recipe; with --resume the run's own by default.", valueName: "file"))
  var recipe: String?

  @Option(help: ArgumentHelp("The folder of pictures (data.path).", valueName: "folder"))
  var data: String?

  @Option(
    help: ArgumentHelp(
      "The run's folder, new or empty; the next free runs/run-N by default.", valueName: "folder"))
  var output: String?

  @Flag(help: "Go on with the run in --output, from its last checkpoint.")
  var resume = false

  @Option(help: ArgumentHelp("Passes over the training samples (epochs).", valueName: "count"))
  var epochs: Int?

  @Option(help: ArgumentHelp("Samples in a step (batch_size).", valueName: "count"))
  var batchSize: Int?

  @Option(help: ArgumentHelp("The highest learning rate (optimizer.learning_rate).", valueName: "rate"))
  var learningRate: Double?

  @Option(help: ArgumentHelp("The seed of everything random (seed).", valueName: "number"))
  var seed: UInt64?

  @Option(help: ArgumentHelp("Threads that read pictures (workers).", valueName: "count"))
  var workers: Int?

  @Option(
    help: ArgumentHelp(
      "Any field of the recipe, such as mixing.mixup=0.8; may be repeated.", valueName: "key=value"))
  var set: [String] = []

  @OptionGroup var engine: EngineOptions

  func validate() throws {
    if recipe == nil && !resume { throw ValidationError("give --recipe, or --resume with --output.") }
    if resume && output == nil { throw ValidationError("--resume needs the run's folder: give --output.") }
    for pair in set where !pair.contains("=") {
      throw ValidationError("--set expects key=value, got `\(pair)`.")
    }
  }

  func run() async throws {
    let command = self
    try await withTaskExecutorPreference(OneThread.shared) { try await command.train() }
  }

  private func train() async throws {
    let stop = StopSignal()
    let existing = try resume ? output.map { try RunFolder.existing(location($0)) } : nil
    let recipe = try resolvedRecipe(existing)
    engine.start(recipe: recipe.threads)
    let data = try recipe.makeData()
    let checkpoint = try existing.map { try Checkpoint(contentsOf: $0.last) }
    let trainer: Trainer
    let folder: RunFolder
    if let existing, let checkpoint {
      folder = existing
      trainer = Trainer(recipe, data: data, folder: folder)
      try trainer.restore(checkpoint)
      say("resuming \(folder.path) at epoch \(trainer.progress.epoch + 1), step \(trainer.progress.step)")
    } else {
      folder = try output.map { try .fresh(location($0)) } ?? .numbered(in: location("runs"))
      trainer = Trainer(recipe, data: data, folder: folder)
      try folder.write(recipe, samples: recipe.data.kind == .embedded ? 20 : 0)
    }
    say(
      "\(recipe.model.name), \(trainer.model.store.parameterCount) parameters; \(data.training.count) training and "
        + "\(data.validation.count) validation images of \(data.classNames.count) classes; run folder \(folder.path)"
    )
    trainer.observers = [
      try JSONLog(folder, interval: recipe.logSteps, resumingAt: checkpoint?.progress),
      try EventFile(folder, interval: recipe.logSteps), ProgressLine(),
    ]
    let outcome = try await trainer.run { stop.number == nil }
    if outcome == .stopped, let number = stop.number {
      say(
        "stopped at step \(trainer.progress.step); to go on: ganglion train --resume --output \(folder.path)")
      throw ExitCode(128 + number)
    }
    if let top1 = trainer.progress.bestTop1, let epoch = trainer.progress.bestEpoch {
      say(
        "best top-1 \(String(format: "%.2f", top1)) % in epoch \(epoch + 1): "
          + folder.best.path(percentEncoded: false))
    }
  }

  private func resolvedRecipe(_ existing: RunFolder?) throws -> Recipe {
    let given: [(key: String, value: String?)] = [
      ("data.path", data.map(quoted)), ("epochs", epochs.map(String.init)),
      ("batch_size", batchSize.map(String.init)), ("optimizer.learning_rate", learningRate.map { "\($0)" }),
      ("seed", seed.map(String.init)), ("workers", workers.map(String.init)),
      ("threads", engine.threads.map(String.init)),
    ]
    let pairs = set.map { pair in
      let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      return (key: String(parts[0]), value: String(parts[1]))
    }
    let overrides = given.compactMap { field in field.value.map { (key: field.key, value: $0) } } + pairs
    guard let file = recipe.map(location) ?? existing?.recipe else {
      throw ValidationError("give --recipe, or --resume with --output.")
    }
    return try Recipe(contentsOf: file, overrides: overrides)
  }

  /// A path as a YAML text, whatever characters it has.
  private func quoted(_ path: String) -> String {
    "'" + path.replacing("'", with: "''") + "'"
  }
}
