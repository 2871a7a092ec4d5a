public import Analysis
public import Backbones
public import Data
public import Foundation
import Layers
public import Scan
public import Torch
public import Training

/// Why there can be no report.
public struct ReportError: Error, CustomStringConvertible, Hashable, Sendable {
  /// One sentence.
  public let description: String
}

/// Everything that is to be told of a run, gathered from its folder and its validation set.
///
/// What a run left behind decides: a part whose source is missing or damaged is left out, and ``notes`` says why.
public struct RunReport: Sendable {
  /// What the run's model says of the validation set.
  public struct Evaluation: Sendable {
    /// The checkpoint's file name.
    public let file: String
    /// The names of the classes.
    public let classNames: [String]
    /// The verdicts.
    public let scoring: Scoring
    /// What computed them.
    public let engine: EngineDescription
    /// Some of the samples, by their index in the set.
    public let pictures: [Int: Image]
  }

  /// The run's folder as it was named.
  public let name: String
  /// The recipe as it was resolved.
  public let recipe: Recipe?
  /// What the log tells.
  public let history: MetricsHistory
  /// The model that the recipe describes.
  public let network: ModelSummary?
  /// Which layer feeds which, stage by stage.
  public let wiring: [Wiring]
  /// What the model says of the validation set.
  public let evaluation: Evaluation?
  /// One sentence for each thing that is missing or odd.
  public let notes: [String]
  /// When the report was made.
  public let date: Date
}

extension RunReport {
  /// Gathers a report.
  ///
  /// - Parameters:
  ///   - folder: the run's folder.
  ///   - data: the folder of the samples to judge by; the recipe's if absent.
  ///   - batchSize: samples in a batch of the evaluation.
  ///   - workers: threads that read pictures.
  ///   - evaluates: whether the validation set is looked at again.
  ///   - device: where the model is to run.
  ///   - report: is told how many of how many samples are done.
  /// - Throws: ``ReportError`` if the folder is not that of a run; what reading the samples throws if `data` is given.
  nonisolated(nonsending)
    public init(
      of folder: RunFolder, data: URL? = nil, batchSize: Int = 64, workers: Int = 2, evaluates: Bool = true,
      device: Device = .cpu, report: (_ done: Int, _ count: Int) -> Void = { _, _ in }
    ) async throws
  {
    var notes: [String] = []
    let checkpoint = Self.checkpoint(folder, &notes)
    let recipe = Self.recipe(folder, checkpoint, &notes)
    let history = Self.history(folder, &notes)
    guard checkpoint != nil || recipe != nil || history != nil else {
      throw ReportError(
        description:
          "\(folder.path): expected the folder of a run, with recipe.yaml, metrics.jsonl or a checkpoint, "
          + "got none of them; give the --output of ganglion train.")
    }
    let model = Self.model(checkpoint, recipe, device, &notes)
    var evaluation: Evaluation?
    if let checkpoint, let model, evaluates {
      do {
        let samples = try checkpoint.validationSamples(in: data)
        let loader = DataLoader(
          samples, batchSize: batchSize, preprocessing: checkpoint.input.evaluation, order: .sequential)
        evaluation = try await Evaluation(checkpoint, model, loader, workers: workers) {
          report($0, samples.count)
        }
      } catch let error where data == nil {
        notes.append("The validation set was not looked at again: \(error)")
      }
    }
    let known = history ?? MetricsHistory("")
    self.init(
      name: folder.url.standardizedFileURL.lastPathComponent, recipe: recipe, history: known,
      network: model.flatMap { model in
        recipe.map { ModelSummary(model, size: ($0.data.imageSize, $0.data.imageSize)) }
      },
      wiring: model?.backbone.wiring ?? [], evaluation: evaluation,
      notes: notes + Self.oddities(known, recipe), date: .now)
  }

  private static func checkpoint(_ folder: RunFolder, _ notes: inout [String]) -> Checkpoint? {
    let files = [folder.best, folder.last].filter {
      FileManager.default.fileExists(atPath: $0.path(percentEncoded: false))
    }
    for file in files {
      do {
        let checkpoint = try Checkpoint(contentsOf: file)
        if file == folder.last {
          notes.append(
            "There is no usable best.safetensors: what follows is of last.safetensors, after "
              + "\(checkpoint.progress.step) steps.")
        }
        return checkpoint
      } catch {
        notes.append("\(file.lastPathComponent) cannot be used: \(error)")
      }
    }
    if files.isEmpty { notes.append("There is no checkpoint, so the model's verdicts are not shown.") }
    return nil
  }

  private static func recipe(
    _ folder: RunFolder, _ checkpoint: Checkpoint?, _ notes: inout [String]
  ) -> Recipe? {
    guard FileManager.default.fileExists(atPath: folder.recipe.path(percentEncoded: false)) else {
      notes.append(
        "There is no recipe.yaml" + (checkpoint == nil ? "." : "; the recipe below is the checkpoint's."))
      return checkpoint?.recipe
    }
    do {
      return try Recipe(contentsOf: folder.recipe)
    } catch {
      notes.append("recipe.yaml cannot be used: \(error)")
      return checkpoint?.recipe
    }
  }

  private static func history(_ folder: RunFolder, _ notes: inout [String]) -> MetricsHistory? {
    guard FileManager.default.fileExists(atPath: folder.metrics.path(percentEncoded: false)) else {
      notes.append("There is no metrics.jsonl, so there are no curves.")
      return nil
    }
    do {
      return try MetricsHistory(contentsOf: folder.metrics)
    } catch {
      notes.append("metrics.jsonl cannot be read (\(error.localizedDescription)), so there are no curves.")
      return nil
    }
  }

  private static func model(
    _ checkpoint: Checkpoint?, _ recipe: Recipe?, _ device: Device, _ notes: inout [String]
  ) -> Model? {
    do {
      if let checkpoint { return try checkpoint.makeModel(device: device) }
      return try recipe.map { $0.makeModel(classes: try $0.makeData().classNames.count, device: device) }
    } catch {
      notes.append("The model is not shown: \(error)")
      return nil
    }
  }

  private static func oddities(_ history: MetricsHistory, _ recipe: Recipe?) -> [String] {
    var notes: [String] = []
    if let last = history.epochs.last, let recipe, last.epoch + 1 < recipe.epochs {
      notes.append("The run has not ended: \(last.epoch + 1) of \(recipe.epochs) epochs are done.")
    } else if history.epochs.isEmpty, let last = history.steps.last {
      notes.append("The run ended before its first validation, after \(last.step) steps or more.")
    }
    let resumed = history.engines.dropFirst().map { "step \(Format.count($0.step))" }
    if !resumed.isEmpty { notes.append("The run was resumed at \(resumed.joined(separator: ", ")).") }
    if history.unreadableLines > 0 {
      let lines = history.unreadableLines == 1 ? "One line" : "\(history.unreadableLines) lines"
      notes.append("\(lines) of metrics.jsonl could not be read.")
    }
    return notes
  }

  /// The recognised samples and the mistakes that are shown.
  static let (exampleCount, mistakeCount) = (10, 10)
}

extension RunReport.Evaluation {
  nonisolated(nonsending)
    fileprivate init(
      _ checkpoint: Checkpoint, _ model: Model, _ loader: DataLoader, workers: Int, report: (Int) -> Void
    ) async throws
  {
    let scoring = try await Scoring.of(
      model.backbone, on: loader, workers: workers, device: model.store.device, report: report)
    let shown = scoring.examples(RunReport.exampleCount) + scoring.mistakes(RunReport.mistakeCount)
    var pictures: [Int: Image] = [:]
    for verdict in shown { pictures[verdict.index] = try loader.dataset.sample(at: verdict.index).image }
    self.init(
      file: URL(filePath: checkpoint.path).lastPathComponent, classNames: checkpoint.classNames,
      scoring: scoring, engine: EngineDescription(device: model.store.device), pictures: pictures)
  }
}
