public import Backbones
import Data
import Evaluation
import Foundation
public import Layers
public import Torch

/// A training run: the model, what steps it and how far it has come.
///
/// Everything random is a function of the recipe's seed and the step or sample, so two runs of a recipe on one machine
/// with equal thread counts give the same numbers, however often one of them was stopped and resumed.
public final class Trainer {
  /// How a call of ``run(whileTrue:)`` ended.
  public enum Outcome: Hashable, Sendable {
    /// All epochs are done.
    case finished
    /// It was asked to stop and wrote a checkpoint.
    case stopped
  }

  /// The run's description.
  public let recipe: Recipe
  /// The trained model.
  public let model: Model
  /// The moving average of its weights, if the recipe asks for one.
  public let average: WeightAverage?
  /// How far the run has come.
  public internal(set) var progress = Progress()
  /// Who is told of steps and epochs.
  public var observers: [any TrainingObserver] = []

  /// Where checkpoints go; `nil` keeps everything in memory.
  public var folder: RunFolder?
  /// What was taken from the recipe's pretrained weights, if it names some and the run was not resumed.
  public let start: AdaptationReport?

  private let classNames: [String]
  private let device: Device
  private let training: DataLoader
  private let validation: DataLoader
  private let optimizer: AdamW
  private let optimizedKeys: [String]
  private let parameters: [Tensor]
  private let learningRate: LearningRate
  private let mixing: Mixing

  /// A run at its first step, with the recipe's pretrained weights if it names some; or one that goes on.
  ///
  /// - Parameters:
  ///   - recipe: the run's description.
  ///   - data: the recipe's data sets.
  ///   - folder: where checkpoints go; `nil` keeps everything in memory.
  ///   - device: where the model lives.
  ///   - checkpoint: where the run goes on, as by ``restore(_:)``; pretrained weights are not needed then.
  /// - Throws: `CheckpointError` or `ParameterMismatch` for pretrained weights that do not fit, ``RecipeError`` for
  ///   parameters to be frozen that do not exist, and what ``restore(_:)`` throws.
  public init(
    _ recipe: Recipe, data: TrainingData, folder: RunFolder? = nil, device: Device = .cpu,
    resuming checkpoint: Checkpoint? = nil
  ) throws {
    self.recipe = recipe
    self.folder = folder
    self.device = device
    classNames = data.classNames
    model = recipe.makeModel(classes: classNames.count, device: device)
    start = try checkpoint == nil ? recipe.loadPretrained(into: model) : nil
    try recipe.freeze(model)
    average = recipe.emaDecay.map { [model] decay in
      WeightAverage(
        of: model, decay: decay, in: recipe.makeModel(classes: data.classNames.count, device: device))
    }
    training = DataLoader(
      data.training, batchSize: recipe.batchSize, preprocessing: recipe.trainingPreprocessing,
      order: .shuffled,
      remainder: data.training.count >= recipe.batchSize ? .dropped : .kept, seed: recipe.seed)
    validation = DataLoader(
      data.validation, batchSize: recipe.batchSize, preprocessing: recipe.inputPreparation.evaluation,
      order: .sequential)
    let groups = model.store.optimizerGroups(recipe.optimizer)
    optimizer = AdamW(
      groups.map(\.parameters), betas: (recipe.optimizer.betas[0], recipe.optimizer.betas[1]),
      epsilon: recipe.optimizer.epsilon)
    optimizedKeys = groups.flatMap(\.entries).map(\.key)
    parameters = model.store.parameters
    learningRate = recipe.learningRate(stepsPerEpoch: training.batchCount)
    mixing = Mixing(recipe)
    if recipe.precision == .float16 { progress.lossScale = LossScale() }
    if let checkpoint { try restore(checkpoint) }
  }

  /// Trains up to the last epoch.
  ///
  /// - Parameter willContinue: is asked after each step; false ends the run with a checkpoint.
  /// - Returns: whether the run is complete.
  /// - Throws: ``TrainingError`` if the loss or the gradients are no longer finite; errors of data and files.
  nonisolated(nonsending)
    public func run(whileTrue willContinue: () -> Bool = { true }) async throws -> Outcome
  {
    // A run killed before its first interval is over can be resumed as well.
    if progress.step == 0 { try writeLast() }
    while progress.epoch < recipe.epochs {
      let batches = training.epoch(progress.epoch).batches(from: progress.batch, workerCount: recipe.workers)
      var launched: LaunchedStep?
      for try await batch in batches {
        // On its way while the device is still at the step before.
        let inputs = try withTorchErrors { send(batch) }
        if let step = launched, try !conclude(step, willContinue) { return .stopped }
        launched = try withTorchErrors { launch(inputs) }
      }
      if let step = launched, try !conclude(step, willContinue) { return .stopped }
      guard try await finishEpoch(willContinue) else { return .stopped }
    }
    return .finished
  }

  /// A batch where the model lives.
  private struct Inputs {
    let images, labels: Tensor
    let count, height, width: Int
  }

  /// A step that the device may still be at.
  private struct LaunchedStep {
    /// The loss and the gradients' norm, `[2]`.
    let numbers: Tensor
    let learningRate: Double
    let count: Int
  }

  private func send(_ batch: Batch) -> Inputs {
    Inputs(
      images: Tensor(batch.pixels, batch.shape).sent(to: device, format: recipe.memoryFormat(on: device)),
      labels: Tensor(batch.labels).sent(to: device), count: batch.count, height: batch.height,
      width: batch.width)
  }

  /// Starts all of a step without waiting for any of it: where a gradient is not finite, the device itself leaves the
  /// parameters as they are.
  private func launch(_ inputs: Inputs) -> LaunchedStep {
    let mode = model.store.mode
    (mode.isTraining, mode.seed, mode.step) = (true, recipe.seed, UInt64(progress.step))
    let rate = learningRate(progress.step)
    let loss = self.loss(inputs)
    model.store.clearGradients()
    (progress.lossScale?.scaled(loss) ?? loss).backward()
    progress.lossScale?.unscaleGradients(of: parameters)
    let norm = clipGradients(of: parameters, toNorm: recipe.optimizer.clipNorm ?? .infinity).to(
      device: device)
    optimizer.step(learningRate: rate, unless: (!norm.isFinite()).to(.float32))
    average?.update(from: model)
    return LaunchedStep(
      numbers: stack([loss.detached(), norm.to(.float32)]), learningRate: rate, count: inputs.count)
  }

  /// Waits for a step, tells of it and writes the checkpoint that is due.
  ///
  /// - Returns: whether the run goes on.
  private func conclude(_ step: LaunchedStep, _ willContinue: () -> Bool) throws -> Bool {
    let numbers = try withTorchErrors { step.numbers.array(Double.self) }
    let (loss, norm, rate) = (numbers[0], numbers[1], step.learningRate)
    guard loss.isFinite else { throw diverged("the loss", loss, rate) }
    let canGoOn = progress.lossScale?.update(overflowed: !norm.isFinite) ?? norm.isFinite
    guard canGoOn else { throw diverged("the gradients' norm", norm, rate) }
    progress.step += 1
    progress.batch += 1
    progress.lossSum += loss
    let record = StepRecord(
      step: progress.step, steps: learningRate.steps, epoch: progress.epoch, epochs: recipe.epochs,
      loss: loss, learningRate: rate, gradientNorm: norm.isFinite ? norm : nil, imageCount: step.count)
    for observer in observers { try observer.didStep(record) }
    guard willContinue() else {
      try writeLast()
      return false
    }
    if let interval = recipe.checkpointSteps, progress.step % interval == 0 { try writeLast() }
    return true
  }

  private func loss(_ inputs: Inputs) -> Tensor {
    let draw = mixing.draw(step: progress.step, height: inputs.height, width: inputs.width)
    let logits = withAutocast(recipe.precision.castType, on: device) {
      model.backbone(Mixing.mix(inputs.images, draw))
    }.to(.float32)
    guard mixing.isActive else {
      return logits.crossEntropy(inputs.labels, smoothing: recipe.labelSmoothing)
    }
    return logits.crossEntropy(
      Mixing.targets(
        inputs.labels, classes: classNames.count, share: draw.share, smoothing: recipe.labelSmoothing))
  }

  private func diverged(_ quantity: String, _ value: Double, _ rate: Double) -> TrainingError {
    let value = value.isNaN ? "not a number" : "infinite"
    return TrainingError(
      "step \(progress.step)", "\(quantity) is \(value) at learning rate \(rate)",
      remedy: "the last checkpoint is unharmed; try a lower learning rate, a longer warm-up or a clip_norm"
        + (recipe.precision == .float32 ? "" : ", or precision float32"))
  }

  nonisolated(nonsending)
    private func finishEpoch(_ willContinue: () -> Bool) async throws -> Bool
  {
    let judged = average?.model ?? model
    judged.store.mode.isTraining = false
    let score: ClassificationScore
    do {
      score = try await evaluate(
        judged.backbone, on: validation, workers: recipe.workers, device: device,
        precision: recipe.precision.castType, format: recipe.memoryFormat(on: device),
        whileTrue: willContinue)
    } catch is CancellationError {
      try writeLast()
      return false
    }
    let isBest = score.top1 > progress.bestTop1 ?? -1
    let record = EpochRecord(
      epoch: progress.epoch, epochs: recipe.epochs, step: progress.step,
      trainingLoss: progress.lossSum / Double(max(1, progress.batch)), score: score, isBest: isBest)
    if isBest { (progress.bestTop1, progress.bestEpoch) = (score.top1, progress.epoch) }
    (progress.epoch, progress.batch, progress.lossSum) = (progress.epoch + 1, 0, 0)
    if isBest { try writeBest(judged) }
    for observer in observers { try observer.didEndEpoch(record) }
    try writeLast()
    return true
  }

  private func writeBest(_ judged: Model) throws {
    guard let folder else { return }
    try Checkpoint.write(
      judged.store.entries.map { ($0.key, $0.tensor) }, recipe: recipe, classNames: classNames,
      progress: progress,
      to: folder.best)
  }

  private func writeLast() throws {
    guard let folder else { return }
    var tensors = model.store.entries.map { ($0.key, $0.tensor) }
    tensors += average?.model.store.entries.map { (Checkpoint.Prefix.average + $0.key, $0.tensor) } ?? []
    tensors += optimizerTensors
    try Checkpoint.write(
      tensors, recipe: recipe, classNames: classNames, progress: progress, to: folder.last)
  }

  private var optimizerTensors: [(String, Tensor)] {
    zip(optimizedKeys, optimizer.state).flatMap { key, moments in
      [
        (Checkpoint.Prefix.first + key, moments.first), (Checkpoint.Prefix.second + key, moments.second),
        (Checkpoint.Prefix.step + key, moments.step),
      ]
    }
  }

  /// Goes back, or on, to where a checkpoint was written.
  ///
  /// - Throws: ``TrainingError`` if the checkpoint is of another recipe or other classes, and what reading throws.
  public func restore(_ checkpoint: Checkpoint) throws {
    // Where pictures are found and how many threads work change no number, but for the operators' rounding.
    let free = [
      "data.path", "data.cache_megabytes", "threads", "workers", "log_steps", "checkpoint_steps",
    ]
    let differences = try recipe.differences(from: checkpoint.recipe).filter { !free.contains($0.key) }
    if let field = differences.first {
      throw TrainingError(
        checkpoint.path,
        "the run has `\(field.key)` \(field.other), and it is now \(field.own)",
        remedy: "resume with the same recipe and flags, or start a new run in another folder")
    }
    guard checkpoint.classNames == classNames else {
      throw TrainingError(
        checkpoint.path, "the run's classes are not those of the data now",
        remedy: "resume with the same data")
    }
    try checkpoint.load(model, prefix: "")
    if let average { try checkpoint.load(average.model, prefix: Checkpoint.Prefix.average) }
    for (name, tensor) in optimizerTensors { try checkpoint.copy(name, into: tensor) }
    progress = checkpoint.progress
  }
}
