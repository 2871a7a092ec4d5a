import ArgumentParser
import Data
import Foundation
import Training

struct PredictCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "predict",
    abstract: "Say what pictures show.",
    discussion: """
      Prints the most probable classes of each picture, in the order in which the pictures are given. Folders are \
      searched for JPEG and PNG files; a pattern in quotes may have *, ?, [a-z], and ** for any number of folders. A \
      picture that cannot be read is reported and passed over; the exit code is then 1.

      With --json each line is an object: file, and classes, each with index, name and probability, most probable first.

      Orientation tags are not applied, as in the training of the published models: a picture, and its copy by \
      --annotate, is what its pixels say.

      Examples:
        ganglion predict --checkpoint runs/demo/best.safetensors runs/demo/samples
        ganglion predict --checkpoint best.safetensors 'photos/**/*.jpg' --top-k 3
        ganglion predict --checkpoint best.safetensors --annotate seen photos
        ganglion predict --checkpoint best.safetensors --from-list names.txt
        ganglion predict --model vmamba_tiny_s1l8 --pretrained photo.jpg
        ganglion predict --model sparx_mamba_t --weights t.pth --json photos
        ganglion predict --model sparx_mamba_t --random-weights - < picture.jpg
      """)

  @OptionGroup var model: ModelOptions

  @Option(help: ArgumentHelp("Classes to print for each picture.", valueName: "count"))
  var topK = 5

  @Option(
    help: ArgumentHelp(
      "A new or empty folder for copies of the pictures with their classes drawn under them.",
      valueName: "folder"),
    completion: .directory)
  var annotate: String?

  @Flag(help: "Write one JSON object a picture to standard output.")
  var json = false

  @OptionGroup var loader: LoaderOptions
  @OptionGroup var engine: EngineOptions
  @OptionGroup var pictures: PictureOptions

  func validate() throws {
    if topK < 1 { throw ValidationError("--top-k must be at least 1, got \(topK).") }
  }

  func run() async throws {
    let command = self
    try await withTaskExecutorPreference(OneThread.shared) { try await command.predict() }
  }

  private func predict() async throws {
    let (found, problems) = try pictures.find()
    for problem in problems { say(printable(problem)) }
    guard !found.isEmpty else { throw ExitCode.failure }
    try await model.fetchWeights()
    // Not before: nothing needs an end in order while standard input is waited for.
    let stop = StopSignal(finishing: "this batch")
    let device = try engine.start(form: model.form)
    let (classifier, _) = try model.makeClassifier(on: device)
    var copies = try annotate.map { try AnnotatedCopies(in: $0) }
    var line = LiveLine(total: found.count, unit: "pictures")
    var (done, failures) = (0, problems.count)
    try await classifier.classify(
      found, top: topK, batchSize: loader.batchSize, workers: loader.workers
    ) { results in
      try await copies?.write(results)
      line.clear()
      for result in results { try show(result, &failures) }
      done += results.count
      line.show(done)
      return stop.number == nil
    }
    line.clear()
    if let number = stop.number {
      say("stopped after \(done) of \(found.count) pictures")
      throw ExitCode(128 + number)
    }
    if failures > 0 { throw ExitCode.failure }
  }

  private func show(_ result: PictureResult, _ failures: inout Int) throws {
    switch result.classes {
    case .success(let classes):
      let prediction = Prediction(file: result.picture.name, classes: classes)
      if json { try outputJSON(prediction) } else { output(prediction.text) }
    case .failure(let error):
      say(printable("\(error)"))
      failures += 1
    }
  }
}

/// What a picture shows, for people and programs.
private struct Prediction: Encodable {
  let file: String
  let classes: [ClassProbability]

  var text: String {
    let list = classes.map { $0.name + String(format: " %.2f %%", 100 * $0.probability) }
    return printable("\(file): " + list.joined(separator: ", "))
  }
}
