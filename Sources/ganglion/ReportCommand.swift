import ArgumentParser
import Data
import Foundation
import Reporting
import Training

struct ReportCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Make a page of a training run.",
    discussion: """
      One HTML file with the result, the curves, what is confused with what, pictures with the model's verdicts, the \
      network's wiring, the recipe and the machine. It needs no other file and no network to be read. The validation \
      set is looked at again with best.safetensors, or last.safetensors where that is missing; what a run did not \
      leave behind is left out, and the page says so.

      Prints the path of the file.

      Examples:
        ganglion report runs/demo
        ganglion report runs/digits --data digits --output digits.html
      """)

  @Argument(help: ArgumentHelp("The run's folder.", valueName: "run"))
  var runFolder: String

  @Option(
    name: .customLong("output"),
    help: ArgumentHelp("The page; report.html in the run's folder by default.", valueName: "file"))
  var page: String?

  @Option(
    help: ArgumentHelp(
      "The folder of classes, or one with val/; the recipe's by default.", valueName: "folder"))
  var data: String?

  @Option(help: ArgumentHelp("Images in a batch.", valueName: "count"))
  var batchSize = 64

  @Option(help: ArgumentHelp("Threads that read pictures.", valueName: "count"))
  var workers = 2

  @Flag(
    inversion: .prefixedNo,
    help: "Look at the validation set again, which the parts on classes and pictures need.")
  var evaluation = true

  @OptionGroup var engine: EngineOptions

  func validate() throws {
    if !(1...65_536).contains(batchSize) {
      throw ValidationError("--batch-size must be from 1 to 65536, got \(batchSize).")
    }
    if !(1...1024).contains(workers) {
      throw ValidationError("--workers must be from 1 to 1024, got \(workers).")
    }
    if data != nil && !evaluation { throw ValidationError("--data is of no use with --no-evaluation.") }
  }

  func run() async throws {
    let command = self
    try await withTaskExecutorPreference(OneThread.shared) { try await command.report() }
  }

  private func report() async throws {
    let folder = RunFolder(url: location(runFolder))
    guard isFolder(folder.path) else {
      throw ValidationError("'\(runFolder)' is not a folder; give the --output of ganglion train.")
    }
    // What served the training serves its model.
    let device = try engine.start(recipe: (try? Recipe(contentsOf: folder.recipe))?.threads)
    let clock = ContinuousClock()
    var last = clock.now
    let report = try await RunReport(
      of: folder, data: data.map(location), batchSize: batchSize, workers: workers, evaluates: evaluation,
      device: device
    ) { done, count in
      guard clock.now - last > .seconds(10) else { return }
      last = clock.now
      say("\(done) of \(count) validation pictures")
    }
    for note in report.notes { say(note) }
    let file = page.map(location) ?? folder.url.appending(path: "report.html")
    try report.write(to: file)
    output(file.path(percentEncoded: false))
  }
}
