import ArgumentParser
import Foundation
import Torch
import Verification

struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Compare models with the official code's numbers.",
    discussion: """
      Rebuilds the model that a reference names, fills every tensor by its key, and compares logits, features, \
      gradients and training steps with those of the official code. Exits with 0 only if everything is within its \
      tolerance, with 1 if something is not, and with 2 if a file cannot be used. With --weights the values come from a \
      file that holds those of the rule; cases that need other weights are left out.

      Examples:
        ganglion verify Fixtures/models
        ganglion verify Fixtures/models --prepared
        ganglion verify sparx_mamba_t.json --dtype float64 --case eval_224 --json
        ganglion verify sparx_mamba_t.json --weights filled.pth
      """)

  @ArgumentParser.Argument(
    help: ArgumentHelp("Reference files, or folders of them.", valueName: "files"),
    completion: .file(extensions: ["json"]))
  var files: [String]

  @Option(help: ArgumentHelp("The precision of the run: float32 or float64.", valueName: "type"))
  var dtype: Precision = .float32

  @Option(help: ArgumentHelp("Where the models run.", valueName: "name"), completion: .list(["cpu"]))
  var device = "cpu"

  @Option(
    name: .customLong("case"),
    help: ArgumentHelp("Run this case only; may be repeated.", valueName: "name"))
  var cases: [String] = []

  @Option(
    help: ArgumentHelp(
      "Weights for the model, safetensors or PyTorch; takes one reference file.", valueName: "file"),
    completion: .file())
  var weights: String?

  @Flag(help: "Take outputs and features from the model folded and packed for inference.")
  var prepared = false

  @Flag(help: "Write the results to standard output as JSON.")
  var json = false

  @OptionGroup var engine: EngineOptions

  enum Precision: String, ExpressibleByArgument, CaseIterable {
    case float32, float64

    var dtype: DType { self == .float32 ? .float32 : .float64 }
  }

  func run() throws {
    guard device == "cpu" else {
      throw unusable("expected the device `cpu`, got `\(device)`: this build has no other")
    }
    var verifiers: [ModelVerifier]
    do {
      verifiers = try ReferenceFiles.find(files).map { url throws(ReferenceError) in
        try ModelVerifier(
          Reference(contentsOf: url), path: url.path(percentEncoded: false), dtype: dtype.dtype,
          isPrepared: prepared)
      }
    } catch {
      throw unusable("\(error)")
    }
    let known = Set(verifiers.flatMap { $0.reference.cases.map(\.id) })
    for id in cases where !known.contains(id) {
      throw unusable("no file has a case `\(id)`; there are \(known.sorted().joined(separator: ", "))")
    }
    engine.start()
    var wanted = cases.isEmpty ? nil : Set(cases)
    if let weights { verifiers = [try load(weights, verifiers, &wanted)] }
    try report(verifiers, wanted)
  }

  /// The one verifier with weights of a file, for those of the wanted cases that can use them.
  private func load(
    _ weights: String, _ verifiers: [ModelVerifier], _ wanted: inout Set<String>?
  ) throws -> ModelVerifier {
    guard verifiers.count == 1, let verifier = verifiers.first else {
      throw unusable("--weights takes one reference file, got \(verifiers.count)")
    }
    let possible = Set(verifier.casesWithFileWeights.map(\.id))
    if let other = wanted?.subtracting(possible).min() {
      throw unusable("case `\(other)` has weights of its own, which --weights cannot replace")
    }
    wanted = wanted ?? possible
    do {
      let file = try StateDictionary(contentsOf: location(weights))
      let selection = file.selection.map { $0.path.isEmpty ? "the outermost dictionary" : $0.path }
      say(
        "weights: \(weights), \(file.format.rawValue)\(selection.map { ", \($0)" } ?? "")"
          .withoutControlCharacters)
      let loaded = try verifier.loading(file)
      sayTranslation(loaded.translation, of: weights)
      return loaded
    } catch {
      throw unusable("\(error)")
    }
  }

  private func report(_ verifiers: [ModelVerifier], _ wanted: Set<String>?) throws {
    let stop = StopSignal(finishing: "this case")
    let summary = Verification(verifiers, only: wanted, isInterrupted: { stop.number != nil }).run { event in
      if !json { output(VerificationText.line(event)) }
    }
    output(json ? try summary.json() : VerificationText.summary(summary))
    if let number = stop.number {
      say("stopped after \(summary.results.count) cases")
      throw ExitCode(128 + number)
    }
    if !summary.passed { throw ExitCode(1) }
  }

  private func unusable(_ sentence: String) -> ExitCode {
    say("Error: \(sentence)")
    return ExitCode(2)
  }
}
