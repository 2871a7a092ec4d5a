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

      --pretrained starts from another run's weights or an author's; without a file from those that the model's authors \
      publish, fetched if they are not in the cache. They must fit key by key, but for the head, which \
      is replaced if the number of classes differs, tables of positions, which are resized, and the first \
      convolution, which is adapted to --channels.

      --freeze keeps parameters as they are. In its pattern * stands for any text, dots included, and ? for one \
      character of a key such as layers.0.blocks.0.norm.weight; `ganglion inspect` lists a checkpoint's keys.

      --set optimizer.layer_decay=0.75 multiplies the learning rate by 0.75 for each block between a parameter and the \
      head.

      Examples:
        ganglion train --recipe Recipes/demo.yaml --output runs/demo
        ganglion train --recipe Recipes/digits.yaml --data digits --epochs 10
        ganglion train --resume --output runs/demo
        ganglion train --recipe r.yaml --pretrained w.pth --freeze '*norm*'
        ganglion train --recipe r.yaml --set model.name=convnext_tiny --pretrained
        ganglion train --recipe r.yaml --device cuda:1 --set precision=bfloat16
      """)

  @Option(
    help: ArgumentHelp("The recipe; with --resume the run's own by default.", valueName: "file"),
    completion: .file(extensions: ["yaml", "yml"]))
  var recipe: String?

  @Option(
    help: ArgumentHelp("The folder of pictures (data.path).", valueName: "folder"), completion: .directory)
  var data: String?

  @Option(
    help: ArgumentHelp(
      "The run's folder, new or empty; the next free runs/run-N by default.", valueName: "folder"),
    completion: .directory)
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
    defaultAsFlag: Pretrained.published,
    help: ArgumentHelp(
      "The weights to start from, published ones without a file (model.pretrained).", valueName: "file"),
    completion: .file())
  var pretrained: String?

  @Option(
    help: ArgumentHelp("Classes, if more than the data have (model.classes).", valueName: "count"))
  var classes: Int?

  @Option(
    help: ArgumentHelp("1 to see pictures in greys, 3 in colours (model.channels).", valueName: "count"))
  var channels: Int?

  @Option(
    help: ArgumentHelp(
      "Parameters that are not trained (model.freeze); may be repeated.", valueName: "pattern"))
  var freeze: [String] = []

  @Option(
    help: ArgumentHelp(
      "Any field of the recipe, such as mixing.mixup=0.8; may be repeated.", valueName: "key=value"))
  var set: [String] = []

  @OptionGroup var network: NetworkOptions
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
    let existing = try resume ? output.map { try RunFolder.existing(location($0)) } : nil
    let recipe = try resolvedRecipe(existing)
    if existing == nil, recipe.model.pretrained == Pretrained.published {
      _ = try await network.fetch(Architecture.named(recipe.model.name))
    }
    let stop = StopSignal()
    let device = try engine.start(recipe: recipe.threads)
    let data = try recipe.makeData()
    let checkpoint = try existing.map { try Checkpoint(contentsOf: $0.last) }
    // Before the folder is made, so that weights that do not fit leave nothing behind.
    let trainer = try Trainer(recipe, data: data, device: device, resuming: checkpoint)
    let folder: RunFolder
    if let existing {
      folder = existing
      say("resuming \(folder.path) at epoch \(trainer.progress.epoch + 1), step \(trainer.progress.step)")
    } else {
      folder = try output.map { try .fresh(location($0)) } ?? .numbered(in: location("runs"))
      try folder.write(recipe, samples: recipe.data.kind == .embedded ? 20 : 0)
    }
    trainer.folder = folder
    if let start = trainer.start { say("\(start)") }
    let store = trainer.model.store
    say(
      "\(recipe.model.name), \(store.parameterCount) parameters"
        + (store.frozenCount > 0 ? " trained and \(store.frozenCount) frozen" : "")
        + "; \(data.training.count) training and "
        + "\(data.validation.count) validation images of \(data.classNames.count) classes; run folder \(folder.path)"
    )
    if let rates = recipe.optimizer.layerRates(store.layerGroups) { say(rates) }
    trainer.observers = [
      try JSONLog(
        folder, interval: recipe.logSteps, resumingAt: checkpoint?.progress, device: device),
      try EventFile(folder, interval: recipe.logSteps), ProgressLine(device: device),
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
      ("model.pretrained", pretrained.map(quoted)), ("model.classes", classes.map(String.init)),
      ("model.channels", channels.map(String.init)),
      ("model.freeze", freeze.isEmpty ? nil : "[" + freeze.map(quoted).joined(separator: ", ") + "]"),
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

  /// A text in YAML, whatever characters it has.
  private func quoted(_ text: String) -> String {
    "'" + text.replacing("'", with: "''") + "'"
  }
}

extension Recipe.Optimizer {
  /// The first and the last layer's learning rates in a sentence; `nil` if all are the same.
  fileprivate func layerRates(_ groups: LayerGroups) -> String? {
    guard layerDecay < 1 else { return nil }
    let stem = groups.learningRateScale(of: 0, decay: layerDecay)
    return String(
      format:
        "learning rates of %d layer groups: %.3g times the head's for the stem, %.3g for the last block",
      groups.count, stem, layerDecay)
  }
}
