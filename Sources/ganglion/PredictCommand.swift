import ArgumentParser
import Data
import Foundation
import Training

struct PredictCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "predict",
    abstract: "Say what pictures show.",
    discussion: """
      Prints the most probable classes of each picture. Folders are searched for pictures. A picture that cannot be \
      read is reported and passed over; the exit code is then 1.

      Examples:
        ganglion predict --checkpoint runs/demo/best.safetensors runs/demo/samples
        ganglion predict --checkpoint best.safetensors cat.jpg dog.png --top-k 3 --json
        ganglion predict --model sparx_mamba_t --random-weights picture.jpg
      """)

  @Option(help: ArgumentHelp("The best.safetensors or last.safetensors of a run.", valueName: "file"))
  var checkpoint: String?

  @Option(
    help: ArgumentHelp(
      "An architecture to try without a checkpoint; see --random-weights.", valueName: "name"))
  var model: String?

  @Flag(help: "Use --model with freshly drawn weights: for timing, the classes mean nothing.")
  var randomWeights = false

  @Option(help: ArgumentHelp("Classes to print for each picture.", valueName: "count"))
  var topK = 5

  @Flag(help: "Write one JSON object a picture to standard output.")
  var json = false

  @OptionGroup var engine: EngineOptions

  @Argument(help: "Pictures (JPEG or PNG) and folders of pictures.")
  var files: [String]

  func validate() throws {
    if topK < 1 { throw ValidationError("--top-k must be at least 1, got \(topK).") }
    switch (checkpoint, model, randomWeights) {
    case (.some, nil, false), (nil, .some, true): break
    case (nil, .some, false):
      throw ValidationError("--model has no weights: add --random-weights, or give a --checkpoint instead.")
    default: throw ValidationError("give either --checkpoint, or --model with --random-weights.")
    }
  }

  func run() async throws {
    let command = self
    try await withTaskExecutorPreference(OneThread.shared) { try command.predict() }
  }

  private func predict() throws {
    engine.start()
    let classifier = try makeClassifier()
    let (pictures, missing) = pictures()
    var failures = missing
    for picture in pictures {
      do {
        let image = try Image(contentsOf: picture)
        let prediction = Prediction(
          file: picture.path(percentEncoded: false), classes: try classifier.classes(of: image, top: topK))
        if json { try outputJSON(prediction) } else { output(prediction.text) }
      } catch let error as ImageError {
        say("\(error)")
        failures += 1
      }
    }
    if failures > 0 { throw ExitCode.failure }
  }

  private func makeClassifier() throws -> Classifier {
    if let checkpoint { return try Classifier(try Checkpoint(contentsOf: location(checkpoint))) }
    var recipe = try Recipe(
      yaml: "", source: "the command line", overrides: [("model.name", model ?? "")])
    recipe.data.imageSize = 224
    say("the weights are random: the classes below mean nothing")
    return Classifier(
      recipe.makeModel(classes: 1000), input: recipe.inputPreparation,
      classNames: (0..<1000).map { "class \($0)" })
  }

  /// The pictures named or found in folders, and the number of names that lead to none.
  private func pictures() -> (files: [URL], missing: Int) {
    var found: [URL] = []
    var missing = 0
    for name in files {
      let url = location(name)
      guard isFolder(url) else {
        found.append(url)
        continue
      }
      let inside = FileManager.default.enumerator(at: url, includingPropertiesForKeys: nil)?
        .compactMap { $0 as? URL }
        .filter { ImageFolder.extensions.contains($0.pathExtension.lowercased()) }
        .sorted { $0.path < $1.path }
      if inside?.isEmpty ?? true {
        say("\(name): expected pictures in the folder, got none; give one with JPEG or PNG files.")
        missing += 1
      }
      found += inside ?? []
    }
    return (found, missing)
  }
}

/// What a picture shows, for people and programs.
private struct Prediction: Encodable {
  let file: String
  let classes: [ClassProbability]

  var text: String {
    let list = classes.map { String(format: "\($0.name) %.2f %%", 100 * $0.probability) }
    return "\(file): " + list.joined(separator: ", ")
  }
}
