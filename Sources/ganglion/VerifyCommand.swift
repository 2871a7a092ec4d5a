import ArgumentParser
import Foundation
import Torch
import Verification

struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Compare models and kernels with what they should compute.",
    discussion: """
      Rebuilds the model that a reference names, fills every tensor by its key, and compares logits, features, \
      gradients and training steps with those of the official code. Exits with 0 only if everything is within its \
      tolerance, with 1 if something is not, and with 2 if a file cannot be used. With --weights the values come from a \
      file that holds those of the rule; cases that need other weights are left out.

      A half-width --dtype compares the model with itself in float64, on images filled by their number: as it was trained, \
      under automatic casts, and on a GPU prepared for inference in that type, whose error may be 1.5 times as large.

      --kernels needs no files: it compares the compiled kernels of the device with their definitions, outputs and all \
      gradients, in sizes up to a map of 128x312 and every type that a kernel takes. Fresh memory is filled with NaN \
      first, and each kernel runs twice, to the same bits. --case then takes patterns, in which * stands for any text.

      Examples:
        ganglion verify Fixtures/models
        ganglion verify Fixtures/models --prepared
        ganglion verify sparx_mamba_t.json --dtype float64 --case eval_224 --json
        ganglion verify sparx_mamba_t.json --weights filled.pth
        ganglion verify Fixtures/models/sparx_mamba_t.json --dtype bfloat16
        ganglion verify --kernels --device cuda
        ganglion verify --kernels --case 'scan2d/14x14/*'
      """)

  @ArgumentParser.Argument(
    help: ArgumentHelp("Reference files, or folders of them.", valueName: "files"),
    completion: .file(extensions: ["json"]))
  var files: [String] = []

  @Flag(help: "Compare the compiled kernels with their definitions.")
  var kernels = false

  @Option(
    help: ArgumentHelp("The precision of the run: float32, float64, bfloat16 or float16.", valueName: "type"))
  var dtype: Precision = .float32

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

  @Option(help: ArgumentHelp("Images that a half-width type is compared on.", valueName: "count"))
  var images = 256

  @Flag(help: "Write the results to standard output as JSON.")
  var json = false

  @OptionGroup var engine: EngineOptions

  enum Precision: String, ExpressibleByArgument, CaseIterable {
    case float32, float64, bfloat16, float16

    var dtype: DType {
      switch self {
      case .float32: .float32
      case .float64: .float64
      case .bfloat16: .bfloat16
      case .float16: .float16
      }
    }

    var isHalf: Bool { self == .bfloat16 || self == .float16 }
  }

  func validate() throws {
    if files.isEmpty && !kernels {
      throw ValidationError("Missing expected argument '<files> ...', or --kernels.")
    }
    if kernels && !(files.isEmpty && weights == nil && !prepared) {
      throw ValidationError("--kernels takes no files, --weights or --prepared.")
    }
    if dtype.isHalf && !(cases.isEmpty && weights == nil && !prepared) {
      throw ValidationError("--dtype \(dtype.rawValue) takes no --case, --weights or --prepared.")
    }
    if !(1...100_000).contains(images) {
      throw ValidationError("--images must be from 1 to 100000, got \(images).")
    }
  }

  func run() throws {
    if kernels {
      try verifyKernels()
    } else if dtype.isHalf {
      try verifyPrecision()
    } else {
      try verifyModels()
    }
  }

  private func verifyPrecision() throws {
    let device = try usableDevice()
    let comparisons = try references { reference, path throws(ReferenceError) in
      try PrecisionComparison(
        reference, path: path, dtype: dtype.dtype, device: device, imageCount: images)
    }
    engine.start(on: device)
    let stop = StopSignal(finishing: "this batch")
    var results: [PrecisionComparison.Result] = []
    for comparison in comparisons {
      guard let result = try comparison.run(whileTrue: { stop.number == nil }) else { break }
      results.append(result)
      if !json { output(result.text) }
    }
    let report = PrecisionComparison.Report(results, on: device, isInterrupted: stop.number != nil)
    if json { try outputJSON(report) }
    if let number = stop.number { throw ExitCode(128 + number) }
    if !report.passed { throw ExitCode(1) }
  }

  private func verifyKernels() throws {
    // cuBLAS gives the same bits twice only with workspaces of its own, which it asks this for when it starts.
    setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", 0)
    let device = try usableDevice()
    engine.start(on: device)
    let checks = KernelChecks.all(on: device).filter { check in
      cases.isEmpty || cases.contains { fnmatch($0, check.id, 0) == 0 }
    }
    guard !checks.isEmpty else {
      throw unusable("no kernel has a case like \(cases.joined(separator: ", "))")
    }
    let stop = StopSignal(finishing: "this case")
    let summary = KernelVerification(checks, on: device, isInterrupted: { stop.number != nil }).run {
      result in
      if !json { output(VerificationText.line(.result(result))) }
    }
    try tell(summary, stop)
  }

  /// The device; one that cannot be used is unusable input.
  private func usableDevice() throws -> Device {
    do { return try engine.resolveDevice() } catch { throw unusable("\(error)") }
  }

  /// What is made of each reference file; one that cannot be used is unusable input.
  private func references<Use>(
    _ use: (Reference, _ path: String) throws(ReferenceError) -> Use
  ) throws -> [Use] {
    do {
      return try ReferenceFiles.find(files).map { url throws(ReferenceError) in
        try use(Reference(contentsOf: url), url.path(percentEncoded: false))
      }
    } catch {
      throw unusable("\(error)")
    }
  }

  private func verifyModels() throws {
    let device = try usableDevice()
    var verifiers = try references { reference, path throws(ReferenceError) in
      try ModelVerifier(
        reference, path: path, dtype: dtype.dtype, device: device, isPrepared: prepared)
    }
    let known = Set(verifiers.flatMap { $0.reference.cases.map(\.id) })
    for id in cases where !known.contains(id) {
      throw unusable("no file has a case `\(id)`; there are \(known.sorted().joined(separator: ", "))")
    }
    engine.start(on: device)
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
    try tell(summary, stop)
  }

  private func tell(_ summary: Verification.Summary, _ stop: StopSignal) throws {
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
