import ArgumentParser
import Backbones
import Data
import Evaluation
import Foundation
import Training

struct EvaluateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate",
    abstract: "Measure a trained model's accuracy.",
    discussion: """
      The data are a folder with one folder a class, or one whose val/ holds them. A checkpoint says how to prepare \
      pictures, and its recipe's validation set is the default; a model of the catalog with its authors' weights prepares \
      them as the authors do. ImageNet's folders are named by WordNet identifiers: some or all of the thousand may be there.

      Examples:
        ganglion evaluate --checkpoint runs/demo/best.safetensors
        ganglion evaluate --checkpoint best.safetensors --data digits --json
        ganglion evaluate --model sparx_mamba_t --pretrained --data imagenet
        ganglion evaluate --model sparx_mamba_t --weights t.pth --data imagenet
        ganglion evaluate --checkpoint b.safetensors --precision bfloat16
      """)

  @OptionGroup var model: ModelOptions

  @Option(
    help: ArgumentHelp("The folder of classes, or one with val/.", valueName: "folder"),
    completion: .directory)
  var data: String?

  @Flag(help: "Write the result to standard output as JSON.")
  var json = false

  @OptionGroup var loader: LoaderOptions
  @OptionGroup var engine: EngineOptions

  func validate() throws {
    if model.checkpoint == nil && data == nil {
      throw ValidationError("--model has no data of its own: give --data.")
    }
  }

  func run() async throws {
    let command = self
    try await withTaskExecutorPreference(OneThread.shared) { try await command.measure() }
  }

  private func measure() async throws {
    try await model.fetchWeights()
    let stop = StopSignal(finishing: "this batch")
    let device = try engine.start(form: model.form)
    let (classifier, recipe) = try model.makeClassifier(on: device)
    let samples = try dataset(classifier.classNames, recipe)
    let batches = DataLoader(
      samples, batchSize: loader.batchSize, preprocessing: classifier.input.evaluation, order: .sequential)
    let clock = ContinuousClock()
    let start = clock.now
    var line = LiveLine(total: samples.count, unit: "images")
    var batch = 0
    do {
      let score = try await evaluate(
        classifier.backbone, on: batches, workers: loader.workers, device: device,
        precision: classifier.precision, format: classifier.format
      ) {
        line.show(batch * loader.batchSize)
        batch += 1
        return stop.number == nil
      }
      line.clear()
      let seconds = (clock.now - start) / .seconds(1)
      let report = EvaluationReport(score, classNames: samples.classNames, seconds: seconds)
      if json { try outputJSON(report) } else { output(report.text) }
    } catch is CancellationError {
      line.clear()
      say("stopped after \((batch - 1) * loader.batchSize) of \(samples.count) images")
      throw ExitCode(128 + (stop.number ?? SIGINT))
    }
  }

  private func dataset(_ classNames: [String], _ recipe: Recipe?) throws -> any Dataset {
    guard let data else {
      guard let recipe else { throw ValidationError("give --data.") }
      return try recipe.makeData().validation
    }
    let folder = try ImageFolder(validationIn: location(data))
    if classNames == ImageNet.classNames || classNames == ImageNet.synsets.map(\.id),
      let synsets = SynsetFolder(folder)
    {
      return synsets
    }
    try requireSameClasses(
      folder.classNames, of: folder.root.path(percentEncoded: false), classNames)
    return folder.naming(classNames)
  }
}

/// What an evaluation says, for people and programs.
struct EvaluationReport: Encodable {
  struct ClassAccuracy: Encodable {
    let name: String
    let count: Int
    let top1: Double?
  }

  let count: Int
  let top1, top5, loss, imagesPerSecond, seconds: Double
  let perClass: [ClassAccuracy]
  let confusion: [[Int]]

  init(_ score: ClassificationScore, classNames: [String], seconds: Double) {
    count = score.count
    top1 = score.top1
    top5 = score.top5
    loss = score.loss
    self.seconds = seconds
    imagesPerSecond = seconds > 0 ? Double(score.count) / seconds : 0
    confusion = score.confusion
    perClass = zip(classNames, zip(score.confusion, score.perClass)).map { name, row in
      ClassAccuracy(name: name, count: row.0.reduce(0, +), top1: row.1)
    }
  }

  var text: String {
    let seen = perClass.filter { $0.count > 0 }
    let width = seen.map(\.name.count).max() ?? 0
    let classes = seen.map { entry in
      "  " + printable(entry.name).padding(toLength: width, withPad: " ", startingAt: 0)
        + String(format: "  %6.2f %%  of \(entry.count)", entry.top1 ?? 0)
    }
    let absent = perClass.count - classes.count
    let summary = String(
      format: "top-1 %.2f %%  top-5 %.2f %%  loss %.4f  %d images  %.0f images/s", top1, top5, loss, count,
      imagesPerSecond)
    let note = absent > 0 ? ["  and \(absent) classes without images"] : []
    return (classes + note + [summary]).joined(separator: "\n")
  }
}
