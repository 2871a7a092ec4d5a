import Backbones
import ArgumentParser
import Data
import Evaluation
import Foundation
import Training

struct EvaluateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate",
    abstract: "Measure a trained model's accuracy.",
    discussion: """
      The checkpoint says how to build the model and how to prepare pictures. The data are a folder with one folder a \
      class, or one whose val/ holds them; by default the validation set of the checkpoint's recipe.

      Examples:
        ganglion evaluate --checkpoint runs/demo/best.safetensors
        ganglion evaluate --checkpoint best.safetensors --data digits --json
      """)

  @Option(help: ArgumentHelp("The best.safetensors or last.safetensors of a run.", valueName: "file"))
  var checkpoint: String

  @Option(help: ArgumentHelp("The folder of classes, or one with val/.", valueName: "folder"))
  var data: String?

  @Option(help: ArgumentHelp("Images in a batch.", valueName: "count"))
  var batchSize = 64

  @Option(help: ArgumentHelp("Threads that read pictures.", valueName: "count"))
  var workers = 2

  @Flag(help: "Write the result to standard output as JSON.")
  var json = false

  @OptionGroup var engine: EngineOptions

  func validate() throws {
    if !(1...65_536).contains(batchSize) {
      throw ValidationError("--batch-size must be from 1 to 65536, got \(batchSize).")
    }
    if !(1...1024).contains(workers) {
      throw ValidationError("--workers must be from 1 to 1024, got \(workers).")
    }
  }

  func run() async throws {
    let command = self
    try await withTaskExecutorPreference(OneThread.shared) { try await command.measure() }
  }

  private func measure() async throws {
    engine.start()
    let checkpoint = try Checkpoint(contentsOf: location(checkpoint))
    let samples = try dataset(checkpoint)
    let model = try checkpoint.makeModel()
    let loader = DataLoader(
      samples, batchSize: batchSize, preprocessing: checkpoint.input.evaluation, order: .sequential)
    let clock = ContinuousClock()
    let start = clock.now
    let score = try await evaluate(model.backbone, on: loader, workers: workers)
    let seconds = (clock.now - start) / .seconds(1)
    let report = EvaluationReport(score, classNames: checkpoint.classNames, seconds: seconds)
    if json { try outputJSON(report) } else { output(report.text) }
  }

  private func dataset(_ checkpoint: Checkpoint) throws -> any Dataset {
    guard let data else { return try checkpoint.recipe.makeData().validation }
    let root = location(data)
    let val = root.appending(path: "val")
    let folder = try ImageFolder(root: isFolder(val) ? val : root)
    try requireSameClasses(
      folder.classNames, of: folder.root.path(percentEncoded: false), checkpoint.classNames)
    return folder.naming(checkpoint.classNames)
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
    let width = perClass.map(\.name.count).max() ?? 0
    let classes = perClass.map { entry in
      let accuracy = entry.top1.map { String(format: "%6.2f %%", $0) } ?? "     –"
      return "  " + entry.name.padding(toLength: width, withPad: " ", startingAt: 0)
        + "  \(accuracy)  of \(entry.count)"
    }
    let summary = String(
      format: "top-1 %.2f %%  top-5 %.2f %%  loss %.4f  %d images  %.0f images/s", top1, top5, loss, count,
      imagesPerSecond)
    return (classes + [summary]).joined(separator: "\n")
  }
}
