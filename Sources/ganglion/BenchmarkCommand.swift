public import Analysis
public import ArgumentParser
import Backbones
import Foundation
public import Scan
import Torch

struct BenchmarkCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "benchmark",
    abstract: "Measure how fast models are and what memory they take.",
    discussion: """
      Models with random weights on random images, in every combination of the sizes and batches given. Each case runs \
      in a process of its own, so that its peak memory is its own and one that fails leaves the others alone. With \
      --rounds, all cases are gone through several times, and the calls of all rounds count together: what slows the \
      machine for a while then slows all cases alike.

      Inference is that of the model prepared for it, its weights folded and packed; --plain measures the model as it was \
      trained, and so do half-width types on a CPU.

      On a GPU latencies are by its own clock; `wall` is the median until the caller knows that a call is done, and the \
      images per second are those of calls that do not wait for each other. Memory is what tensors take at most, and what \
      LibTorch reserves for them. --graph records the operators of a call once and starts them as one.

      --scan measures the 2-D scan alone, at the sizes of each stage of a model, sparx_mamba_t if none is named; on a GPU \
      against what its memory and its special functions allow: the roofs, measured in the same run.

      Rates and latencies are of single calls: the median, the quartiles, and the latencies that 50, 90 and 99 % of the \
      calls do not exceed. A GFLOP/s counts two operations a multiply-add, and for a training step three times those \
      of its forward pass. Start-up is from the start of the process to the end of the first call.

      Ctrl-C ends with the results so far.

      Examples:
        ganglion benchmark sparx_mamba_t
        ganglion benchmark 'sparx_mamba_*' --size 224,512x1024 --batch 1,8
        ganglion benchmark sparx_mamba_micro --mode train --batch 32 --json
        ganglion benchmark sparx_mamba_t --device cuda --dtype bfloat16 --batch 128
        ganglion benchmark sparx_mamba_t --device cuda --dtype float16 --graph
        ganglion benchmark --scan --device cuda --dtype bfloat16 --batch 128
      """)

  @ArgumentParser.Argument(
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

  @Option(help: ArgumentHelp("The arithmetic.", valueName: "float32|bfloat16|float16|float64"))
  var dtype = BenchmarkCase.Precision.float32

  @Option(
    help: ArgumentHelp(
      "The order of feature maps in memory; channels_last on a GPU by default, contiguous on a CPU.",
      valueName: "contiguous|channels_last"))
  var layout: BenchmarkCase.Layout?

  @Flag(help: "Measure replays of a recorded graph, on a GPU.")
  var graph = false

  @Flag(help: "Measure the 2-D scan alone, at the sizes of a model's stages.")
  var scan = false

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
    if models.isEmpty && !scan { throw ValidationError("name a model; ganglion models lists them.") }
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
    if graph && (mode == .train || scan) {
      throw ValidationError("--graph is for inference.")
    }
    if scan && (size != nil || rounds != 1 || mode == .train) {
      throw ValidationError(
        "--scan takes no --size, --rounds or --mode train: sizes are those of the stages.")
    }
    _ = try cases(on: .cpu)
  }

  func run() throws {
    if let order {
      try outputJSON(try BenchmarkProcess.measure(order))
      return
    }
    let device = try engine.resolveDevice()
    if graph && device == .cpu { throw ValidationError("--graph is for GPUs: give --device cuda.") }
    if scan {
      try measureScans(on: device)
      return
    }
    let stop = StopSignal(finishing: "what is measured so far")
    let cases = try cases(on: device)
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

  private func measureScans(on device: Device) throws {
    let architectures = models.isEmpty ? [.sparxMambaTiny] : try architectures()
    engine.start(on: device)
    let stop = StopSignal(finishing: "this size")
    var report = try ScanBenchmark.Report(device: device)
    loop: for architecture in architectures {
      let shapes = ScanBenchmark.shapes(of: architecture)
      if shapes.isEmpty { throw ValidationError("\(architecture.rawValue) has no 2-D scan.") }
      for batch in try batches() {
        for var shape in shapes {
          if stop.number != nil { break loop }
          shape.batch = batch
          let settings = ScanBenchmark.Settings(
            shape: shape, dtype: dtype, layout: layout ?? defaultLayout(device), device: device,
            warmUp: warmUp, duration: duration ?? 1, iterations: iterations)
          report.add(try ScanBenchmark(settings).run())
        }
      }
    }
    if let file = file.map(location) {
      try AtomicFile.write(to: file) { try $0.append(encodedJSON(report)) }
      say(file.path(percentEncoded: false))
    }
    if json { try outputJSON(report) } else { output(report.lines.joined(separator: "\n")) }
    if let number = stop.number { throw ExitCode(128 + number) }
  }

  private func defaultLayout(_ device: Device) -> BenchmarkCase.Layout {
    device == .cpu ? .contiguous : .channelsLast
  }

  private func batches() throws -> [Int] {
    try list(batch, "--batch").map { text in
      guard let count = Int(text), (1...65_536).contains(count) else {
        throw ValidationError("--batch must list numbers from 1 to 65536, got '\(text)'.")
      }
      return count
    }
  }

  /// Every combination, models first, then sizes, then batches.
  private func cases(on device: Device) throws -> [BenchmarkCase] {
    let batches = try batches()
    let sizes = try size.map { try list($0, "--size").map(pixelSize) }
    return try architectures().flatMap { architecture in
      (sizes ?? [architecture.input.imageSize]).flatMap { size in
        batches.map { settings(architecture, size, $0, device) }
      }
    }
  }

  private func settings(
    _ architecture: Architecture, _ size: (height: Int, width: Int), _ batch: Int, _ device: Device
  ) -> BenchmarkCase {
    var settings = BenchmarkCase(model: architecture, height: size.height, width: size.width, batch: batch)
    (settings.mode, settings.dtype) = (mode, dtype)
    settings.layout = layout ?? defaultLayout(device)
    (settings.usesGraph, settings.tf32) = (graph, engine.allowsTF32)
    if case .cuda(let index) = device { settings.gpu = index }
    (settings.kernel, settings.threads) = (kernel.rawValue, engine.threads)
    (settings.warmUp, settings.seed) = (warmUp, seed)
    // On a CPU prepared models compute in the type of their weights, so automatic casts need the plain one.
    settings.isPlain = plain || (dtype.castType != nil && !device.isCUDA)
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
