import Analysis
import Foundation
import Scan
import Torch

/// A case in a process of its own: this tool once more.
enum BenchmarkProcess {
  private struct Order: Codable {
    let settings: BenchmarkCase
    let start: ContinuousClock.Instant
  }

  /// Does what the calling process asks for.
  static func measure(_ order: String) throws -> BenchmarkResult {
    let order = try JSONDecoder().decode(Order.self, from: Data(order.utf8))
    return try Benchmark(order.settings).run(since: order.start)
  }

  /// Measures a case.
  ///
  /// - Parameters:
  ///   - settings: the case.
  ///   - isStopped: asked while the process runs; it is ended once that is true.
  /// - Returns: the result, or a sentence about why there is none.
  /// - Throws: what Foundation says if no process can be started.
  static func run(
    _ settings: BenchmarkCase, until isStopped: () -> Bool
  ) throws -> Result<BenchmarkResult, BenchmarkError> {
    let scratch = FileManager.default.temporaryDirectory.appending(path: "ganglion-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: scratch, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(at: scratch) }
    // Files and not pipes, which a process that nobody reads from would fill.
    let (results, errors) = (scratch.appending(path: "results"), scratch.appending(path: "errors"))
    for file in [results, errors] { try Data().write(to: file) }
    let process = Process()
    process.executableURL = try executable()
    process.standardOutput = try FileHandle(forWritingTo: results)
    process.standardError = try FileHandle(forWritingTo: errors)
    process.standardInput = FileHandle.nullDevice
    let order = try JSONEncoder().encode(Order(settings: settings, start: .now))
    process.arguments = ["benchmark", "--measure", String(decoding: order, as: UTF8.self)]
    try process.run()
    while process.isRunning {
      // It may have inherited that the usual signals are ignored.
      if isStopped() { kill(process.processIdentifier, SIGKILL) }
      usleep(5000)
    }
    process.waitUntilExit()
    guard process.terminationReason == .exit, process.terminationStatus == 0 else {
      return .failure(BenchmarkError(try reason(process, errors)))
    }
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return .success(try decoder.decode(BenchmarkResult.self, from: Data(contentsOf: results)))
  }

  private static func reason(_ process: Process, _ errors: URL) throws -> String {
    if process.terminationReason == .uncaughtSignal {
      let signal = process.terminationStatus
      return "the process was ended by signal \(signal)"
        + (signal == SIGKILL ? ", as systems do when memory runs out; try a smaller batch or size." : ".")
    }
    let text = String(decoding: try Data(contentsOf: errors), as: UTF8.self)
    let sentence = text.split(separator: "\n").joined(separator: " ").replacing("Error: ", with: "")
    return sentence.isEmpty ? "the process ended with status \(process.terminationStatus)." : sentence
  }

  /// The processes that wanted to run over the last minute, on average, if the system tells.
  static var loadAverage: Double? {
    var load = 0.0
    return getloadavg(&load, 1) == 1 ? load : nil
  }

  /// This program's own file.
  private static func executable() throws -> URL {
    #if os(Linux)
      return URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
    #else
      guard let url = Bundle.main.executableURL else {
        throw BenchmarkError("the system does not say where this program's file is.")
      }
      return url
    #endif
  }
}

/// What came of a case, over all rounds.
struct BenchmarkOutcome {
  let settings: BenchmarkCase
  private(set) var result: BenchmarkResult?
  /// Why it could not be measured, if it could not.
  private(set) var problem: String?

  init(settings: BenchmarkCase) { self.settings = settings }

  mutating func add(_ end: Result<BenchmarkResult, BenchmarkError>) {
    switch end {
    case .success(let more):
      if result == nil { result = more } else { result?.merge(more) }
    case .failure(let error): problem = error.description
    }
  }
}

/// The results of a call for programs.
struct BenchmarkDocument: Encodable {
  struct Entry: Encodable {
    let settings: BenchmarkCase
    let problem: String?
    let summary: BenchmarkResult.Summary?
    let parameters, multiplyAdds, peakMemoryBytes: Int?
    let deviceMemory: GPUMemory?
    let clockMegahertz: [Double]?
    let buildSeconds, firstCallSeconds, startUpSeconds: [Double]?
    let latencies, wallLatencies: [Double]?

    init(_ outcome: BenchmarkOutcome, keepsSamples: Bool) {
      let result = outcome.result
      (settings, problem, summary) = (outcome.settings, outcome.problem, result?.summary)
      (parameters, multiplyAdds) = (result?.parameters, result?.multiplyAdds)
      (peakMemoryBytes, deviceMemory) = (result?.peakMemoryBytes, result?.deviceMemory)
      clockMegahertz = result?.clockMegahertz
      (buildSeconds, firstCallSeconds) = (result?.buildSeconds, result?.firstCallSeconds)
      startUpSeconds = result?.startUpSeconds
      latencies = keepsSamples ? result?.latencies : nil
      wallLatencies = keepsSamples ? result?.wallLatencies : nil
    }
  }

  let version: String
  let date: String
  let engine: EngineDescription?
  /// The load of the machine before the first case: figures of a busy one are worth little.
  let loadAverage: Double?
  let isInterrupted: Bool
  let rounds: Int
  let cases: [Entry]

  init(
    version: String, loadAverage: Double?, isInterrupted: Bool, rounds: Int, outcomes: [BenchmarkOutcome],
    keepsSamples: Bool
  ) {
    (self.version, self.loadAverage) = (version, loadAverage)
    (self.isInterrupted, self.rounds) = (isInterrupted, rounds)
    date = Date.now.formatted(.iso8601)
    engine = outcomes.lazy.compactMap { $0.result?.engine }.first
    cases = outcomes.map { Entry($0, keepsSamples: keepsSamples) }
  }

  /// Writes the results to a file, which appears whole or not at all.
  func write(to file: URL) throws { try AtomicFile.write(to: file) { try $0.append(encodedJSON(self)) } }
}
