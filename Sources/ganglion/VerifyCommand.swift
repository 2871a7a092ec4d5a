import ArgumentParser
import Foundation
import Torch
import Verification

struct VerifyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Compare models with the official code's numbers.",
    discussion: """
      Rebuilds the model that a reference names, fills every tensor by its key, and compares logits, features, \
      gradients and training steps with those of the official code. Exits with 0 only if everything is within its \
      tolerance, with 1 if something is not, and with 2 if a file cannot be used.
      """)

  @ArgumentParser.Argument(
    help: "Reference files, or folders of them.", completion: .file(extensions: ["json"]))
  var files: [String]

  @Option(help: "The precision of the run: float32 or float64.")
  var dtype: Precision = .float32

  @Option(help: "Where the models run.")
  var device = "cpu"

  @Option(name: .customLong("case"), help: "Run this case only; may be repeated.")
  var cases: [String] = []

  @Flag(help: "Print the results as JSON.")
  var json = false

  enum Precision: String, ExpressibleByArgument, CaseIterable {
    case float32, float64

    var dtype: DType { self == .float32 ? .float32 : .float64 }
  }

  mutating func run() async throws {
    guard device == "cpu" else {
      throw unusable("expected the device `cpu`, got `\(device)`: this build has no other")
    }
    let verifiers: [ModelVerifier]
    do {
      verifiers = try ReferenceFiles.find(files).map { url throws(ReferenceError) in
        try ModelVerifier(
          Reference(contentsOf: url), path: url.path(percentEncoded: false), dtype: dtype.dtype)
      }
    } catch {
      throw unusable("\(error)")
    }
    let known = Set(verifiers.flatMap { $0.reference.cases.map(\.id) })
    for id in cases where !known.contains(id) {
      throw unusable("no file has a case `\(id)`; there are \(known.sorted().joined(separator: ", "))")
    }
    try report(verifiers)
  }

  private func report(_ verifiers: [ModelVerifier]) throws {
    let interruption = Interruption()
    let summary = Verification(
      verifiers, only: cases.isEmpty ? nil : Set(cases), isInterrupted: { interruption.isRequested }
    ).run { event in
      if !json { print(VerificationText.line(event)) }
    }
    print(json ? try summary.json() : VerificationText.summary(summary))
    if summary.isInterrupted { throw ExitCode(130) }
    if !summary.passed { throw ExitCode(1) }
  }

  private func unusable(_ sentence: String) -> ExitCode {
    FileHandle.standardError.write(Data("ganglion verify: \(sentence)\n".utf8))
    return ExitCode(2)
  }
}
