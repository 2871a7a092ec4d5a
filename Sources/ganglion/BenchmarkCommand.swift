public import Analysis
public import ArgumentParser
import Backbones
import Foundation
public import Scan

struct BenchmarkCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "benchmark",
    abstract: "Measure how fast models are and what memory they take.",
    discussion: """
      Models with random weights on random images, in every combination of the sizes and batches given. Each case runs \
      in a process of its own, so that its peak memory is its own and one that fails leaves the others alone. With \
      --rounds, all cases are gone through several times, and the calls of all rounds count together: what slows the \
      machine for a while then slows all cases alike.

      Inference is that of the model prepared for it, its weights folded and packed; --plain and --dtype bfloat16 \
      measure the model as it was trained.

      Rates and latencies are of single calls: the median, the quartiles, and the latencies that 50, 90 and 99 % of the \
      calls do not exceed. A GFLOP/s counts two operations a multiply-add, and for a training step three times those \
      of its forward pass. Start-up is from the start of the process to the end of the first call.

      Ctrl-C ends with the results so far.

      Examples:
        ganglion benchmark sparx_mamba_t
        ganglion benchmark 'sparx_mamba_*' --size 224,512x1024 --batch 1,8
        ganglion benchmark sparx_mamba_micro --mode train --batch 32 --json
      """)

  @Argument(
    help: "Names of models, in which * stands for any text and ? for one character.",
    completion: .list(Architecture.names))
  var models: [String] = []

  @Option(
    help: ArgumentHelp(
      "Image sizes in pixels: a side, or HxW; the model's own by default.", valueName: "list"))
  var size: String?

  @Option(help: ArgumentHelp("Images in a call.", valueName: "list"))
  var batch = "1"

  @Option(help: ArgumentHelp("What is timed.", valueName: "inference|train"))
  var mode = BenchmarkCase.Mode.inference

  @Option(help: ArgumentHelp("The arithmetic.", valueName: "float32|bfloat16|float64"))
  var dtype = BenchmarkCase.Precision.float32

  @Option(help: ArgumentHelp("The order of feature maps in memory.", valueName: "contiguous|channels_last"))
  var layout = BenchmarkCase.Layout.contiguous

  @Flag(help: "Measure inference of the model as it was trained, without folding and packing its weights.")
  var plain = false

  @Option(help: ArgumentHelp("The computation behind the scans.", valueName: "compiled|naive"))
  var kernel = ScanKernel.compiled

  @Option(help: ArgumentHelp("Seconds of calls that do not count yet.", valueName: "seconds"))
  var warmUp = 1.0

  @Option(
    help: ArgumentHelp("Seconds of calls that count, of at least three; 5 by default.", valueName: "seconds"))
  var duration: Double?

  @Option(help: ArgumentHelp("Calls that count, instead of --duration.", valueName: "count"))
  var iterations: Int?

  @Option(help: ArgumentHelp("Times to go through all cases.", valueName: "count"))
  var rounds = 1

  @Option(help: ArgumentHelp("The seed of images and weights.", valueName: "number"))
  var seed: UInt64 = 0

  @Flag(help: "Write the result to standard output as JSON.")
  var json = false

  @Option(
    name: .customLong("output"),
    help: ArgumentHelp("Write the result as JSON to a file.", valueName: "file"))
  var file: String?

  @Flag(help: "Have the JSON hold the latency of every call.")
  var samples = false

  @OptionGroup var engine: EngineOptions

  /// What a process is to measure, as JSON; how the command calls itself.
  @Option(name: .customLong("measure"), help: .hidden)
  var order: String?

  func validate() throws {
    if order != nil { return }
    if models.isEmpty { throw ValidationError("name a model; ganglion models lists them.") }
    if !(0...3600).contains(warmUp) {
      throw ValidationError("--warm-up must be from 0 to 3600 seconds, got \(warmUp).")
    }
    if let duration, !(0.001...86_400).contains(duration) {
      throw ValidationError("--duration must be from 0.001 to 86400 seconds, got \(duration).")
    }
    if let iterations, !(1...10_000_000).contains(iterations) {
      throw ValidationError("--iterations must be from 1 to 10000000, got \(iterations).")
    }
    if duration != nil && iterations != nil {
      throw ValidationError("give either --duration or --iterations.")
    }
    if !(1...1000).contains(rounds) {
      throw ValidationError("--rounds must be from 1 to 1000, got \(rounds).")
    }
    if samples && !json && file == nil {
      throw ValidationError("--samples goes with --json or --output.")
    }
    _ = try cases()
  }

  func run() throws {
    if let order {
      try outputJSON(try BenchmarkProcess.measure(order))
      return
    }
    let stop = StopSignal(finishing: "what is measured so far")
    let cases = try cases()
    let load = BenchmarkProcess.loadAverage
    let cores = ProcessInfo.processInfo.activeProcessorCount
    if let load, load >= Double(cores) {
      say(String(format: "the machine is busy, load %.1f on %d processors: it will look slow", load, cores))
    }
    var outcomes = cases.map { BenchmarkOutcome(settings: $0) }
    rounds: for round in 1...rounds {
      for index in cases.indices where outcomes[index].problem == nil {
        let place = rounds == 1 ? "" : "round \(round) of \(rounds), "
        say("\(place)case \(index + 1) of \(cases.count): \(cases[index].title)")
        let end = try BenchmarkProcess.run(cases[index], until: { stop.number != nil })
        guard stop.number == nil else { break rounds }
        outcomes[index].add(end)
        if let problem = outcomes[index].problem { say("  \(problem)") }
      }
    }
    try tell(outcomes, load, isInterrupted: stop.number != nil)
    if let number = stop.number { throw ExitCode(128 + number) }
    if outcomes.contains(where: { $0.problem != nil }) { throw ExitCode.failure }
  }

  private func tell(_ outcomes: [BenchmarkOutcome], _ load: Double?, isInterrupted: Bool) throws {
    let results = outcomes.compactMap(\.result)
    if let engine = results.first?.engine { say(engine.line) }
    let document = BenchmarkDocument(
      version: Ganglion.configuration.version, loadAverage: load, isInterrupted: isInterrupted,
      rounds: rounds,
      outcomes: outcomes, keepsSamples: samples)
    if let file = file.map(location) {
      try document.write(to: file)
      say(file.path(percentEncoded: false))
    }
    if json {
      try outputJSON(document)
    } else if !results.isEmpty {
      output(BenchmarkTable.lines(results).joined(separator: "\n"))
    }
  }

  /// Every combination, models first, then sizes, then batches.
  private func cases() throws -> [BenchmarkCase] {
    let batches = try list(batch, "--batch").map { text in
      guard let count = Int(text), (1...65_536).contains(count) else {
        throw ValidationError("--batch must list numbers from 1 to 65536, got '\(text)'.")
      }
      return count
    }
    let sizes = try size.map { try list($0, "--size").map(pixelSize) }
    return try architectures().flatMap { architecture in
      (sizes ?? [architecture.input.imageSize]).flatMap { size in
        batches.map { settings(architecture, size, $0) }
      }
    }
  }

  private func settings(
    _ architecture: Architecture, _ size: (height: Int, width: Int), _ batch: Int
  ) -> BenchmarkCase {
    var settings = BenchmarkCase(model: architecture, height: size.height, width: size.width, batch: batch)
    (settings.mode, settings.dtype, settings.layout) = (mode, dtype, layout)
    (settings.kernel, settings.threads) = (kernel.rawValue, engine.threads)
    (settings.warmUp, settings.seed) = (warmUp, seed)
    // Prepared models compute in the type of their weights, so automatic casts need the plain one.
    settings.isPlain = plain || dtype == .bfloat16
    settings.iterations = iterations
    if let duration { settings.duration = duration }
    return settings
  }

  private func architectures() throws -> [Architecture] {
    var found: [Architecture] = []
    for pattern in models {
      let matching = Architecture.allCases.filter { fnmatch(pattern, $0.rawValue, 0) == 0 }
      guard !matching.isEmpty else {
        let known = Architecture.allCases.map(\.rawValue).joined(separator: ", ")
        throw ValidationError("no model is called '\(pattern)'; there are \(known).")
      }
      found += matching.filter { !found.contains($0) }
    }
    return found
  }

  private func list(_ text: String, _ option: String) throws -> [String] {
    let parts = text.split(separator: ",", omittingEmptySubsequences: false).map {
      $0.trimmingCharacters(in: .whitespaces)
    }
    guard !parts.contains("") else {
      throw ValidationError("\(option) expects values with commas between them, got '\(text)'.")
    }
    return parts
  }

  private func pixelSize(_ text: String) throws -> (height: Int, width: Int) {
    let size = try PixelSize(text.contains("x") ? text : "\(text)x\(text)")
    return (size.height, size.width)
  }
}

extension BenchmarkCase.Mode: ExpressibleByArgument {}
extension BenchmarkCase.Precision: ExpressibleByArgument {}
extension BenchmarkCase.Layout: ExpressibleByArgument {}
extension ScanKernel: ExpressibleByArgument {}
