import Foundation
public import Scan
public import Torch

/// What a case was measured to take.
public struct BenchmarkResult: Codable, Hashable, Sendable {
  /// What was measured.
  public var settings: BenchmarkCase
  /// What computed.
  public var engine: EngineDescription
  /// Trained scalars.
  public var parameters: Int
  /// Multiply-adds of a forward pass of one image.
  public var multiplyAdds: Int
  /// The seconds that building the model took; one entry for each process.
  public var buildSeconds: [Double]
  /// The seconds of the first call, which allocates and prepares kernels; one entry for each process.
  public var firstCallSeconds: [Double]
  /// The seconds from the start of the process to the end of the first call; one entry for each process.
  public var startUpSeconds: [Double]
  /// The largest memory that the process occupied, in bytes: the largest of all processes.
  public var peakMemoryBytes: Int
  /// The seconds of each call that counts; on a GPU by its own clock, from the start of the first operator.
  public var latencies: [Double]
  /// On a GPU: the seconds of the same calls by the wall clock, until the caller knows that they are done.
  public var wallLatencies: [Double]?
  /// On a GPU: images per second of calls that do not wait for each other; one entry for each process.
  public var windowImagesPerSecond: [Double]?
  /// The GPU's memory that tensors took, the largest of all processes.
  public var deviceMemory: GPUMemory?
  /// The clock of the GPU's multiprocessors in MHz right after the calls, if the driver's tool tells; one entry for each
  /// process.
  public var clockMegahertz: [Double]?

  /// The figures that follow from the calls.
  public var summary: Summary { Summary(self) }

  /// The same case measured once more, in another process.
  public mutating func merge(_ other: BenchmarkResult) {
    buildSeconds += other.buildSeconds
    firstCallSeconds += other.firstCallSeconds
    startUpSeconds += other.startUpSeconds
    peakMemoryBytes = max(peakMemoryBytes, other.peakMemoryBytes)
    latencies += other.latencies
    wallLatencies = wallLatencies.map { $0 + (other.wallLatencies ?? []) }
    windowImagesPerSecond = windowImagesPerSecond.map { $0 + (other.windowImagesPerSecond ?? []) }
    clockMegahertz = clockMegahertz.map { $0 + (other.clockMegahertz ?? []) }
    if let memory = other.deviceMemory, memory.peakAllocated > deviceMemory?.peakAllocated ?? 0 {
      deviceMemory = memory
    }
  }

  /// A distribution in a few numbers.
  public struct Summary: Codable, Hashable, Sendable {
    /// The number of calls.
    public let calls: Int
    /// Images per second at the median latency.
    public let imagesPerSecond: Double
    /// Images per second at the upper and lower quartile of latency: half of all calls are between them.
    public let imagesPerSecondQuartiles: [Double]
    /// The latency that half of the calls do not exceed, in seconds.
    public let p50: Double
    /// The latency that 90 % of the calls do not exceed, in seconds.
    public let p90: Double
    /// The latency that 99 % of the calls do not exceed, in seconds.
    public let p99: Double
    /// Billions of floating-point operations per second at the median: two a multiply-add, and for a training step
    /// three times those of its forward pass.
    public let gigaflops: Double
    /// On a GPU: the wall-clock latency that half of the calls do not exceed, in seconds.
    public let wallP50: Double?
    /// On a GPU: images per second of calls that do not wait for each other.
    public let windowImagesPerSecond: Double?

    init(_ result: BenchmarkResult) {
      let sorted = result.latencies.sorted()
      let images = Double(result.settings.batch)
      calls = sorted.count
      p50 = quantile(sorted, 0.5)
      p90 = quantile(sorted, 0.9)
      p99 = quantile(sorted, 0.99)
      imagesPerSecond = images / p50
      imagesPerSecondQuartiles = [images / quantile(sorted, 0.75), images / quantile(sorted, 0.25)]
      wallP50 = result.wallLatencies.map { quantile($0.sorted(), 0.5) }
      windowImagesPerSecond = result.windowImagesPerSecond.map { quantile($0.sorted(), 0.5) }
      let passes = result.settings.mode == .train ? 3.0 : 1.0
      gigaflops = 2e-9 * passes * Double(result.multiplyAdds) * images / p50
    }
  }
}

/// A quantile of sorted values, linear between neighbours (Hyndman & Fan 1996, definition 7); NaN for none.
func quantile(_ sorted: [Double], _ share: Double) -> Double {
  guard let last = sorted.indices.last else { return .nan }
  let position = share * Double(last)
  let below = min(Int(position), last)
  let above = min(below + 1, last)
  return sorted[below] + (position - Double(below)) * (sorted[above] - sorted[below])
}

/// Results for people.
public enum BenchmarkTable {
  /// The lines of a table.
  public static func lines(_ results: [BenchmarkResult]) -> [String] {
    guard let gpu = results.lazy.compactMap(\.engine.gpu).first else { return processorLines(results) }
    return [header(gpu, results)] + gpuLines(results)
  }

  private static func processorLines(_ results: [BenchmarkResult]) -> [String] {
    var table = TextTable([
      ("model", .left), ("form", .left), ("size", .right), ("batch", .right), ("images/s", .right),
      ("quartiles", .right),
      ("p50 ms", .right), ("p90 ms", .right), ("p99 ms", .right), ("calls", .right), ("GFLOP/s", .right),
      ("peak memory", .right), ("build s", .right), ("first s", .right), ("start-up s", .right),
    ])
    for result in results {
      let (settings, summary) = (result.settings, result.summary)
      let quartiles = summary.imagesPerSecondQuartiles.map { short($0) }.joined(separator: "–")
      table.append([
        settings.model, settings.form, "\(settings.height)x\(settings.width)", "\(settings.batch)",
        short(summary.imagesPerSecond), quartiles,
        short(1000 * summary.p50), short(1000 * summary.p90), short(1000 * summary.p99), "\(summary.calls)",
        short(summary.gigaflops), Quantity.bytes(result.peakMemoryBytes), short(median(result.buildSeconds)),
        short(median(result.firstCallSeconds)), short(median(result.startUpSeconds)),
      ])
    }
    return table.lines
  }

  /// `NVIDIA H200, driver 13.0, 1980 MHz of 1980, TF32 off`.
  private static func header(_ gpu: GPU, _ results: [BenchmarkResult]) -> String {
    let clocks = results.flatMap { $0.clockMegahertz ?? [] }
    let clock = clocks.isEmpty ? "up to " : "\(short(median(clocks))) MHz of "
    let tf32 = results.first?.engine.tf32 == true ? "on" : "off"
    return "\(gpu.name), driver \(gpu.driver), \(clock)\(gpu.clockMegahertz) MHz, TF32 \(tf32)"
  }

  private static func gpuLines(_ results: [BenchmarkResult]) -> [String] {
    var table = TextTable([
      ("model", .left), ("form", .left), ("type", .left), ("layout", .left), ("size", .right),
      ("batch", .right), ("images/s", .right), ("p50 ms", .right), ("p90 ms", .right), ("p99 ms", .right),
      ("wall ms", .right), ("calls", .right), ("GFLOP/s", .right), ("allocated", .right),
      ("reserved", .right),
      ("first s", .right), ("start-up s", .right),
    ])
    for result in results {
      let (settings, summary) = (result.settings, result.summary)
      table.append([
        settings.model, settings.form, settings.dtype.rawValue, settings.layout.rawValue,
        "\(settings.height)x\(settings.width)", "\(settings.batch)",
        short(summary.windowImagesPerSecond ?? .nan), short(1000 * summary.p50), short(1000 * summary.p90),
        short(1000 * summary.p99), short(1000 * (summary.wallP50 ?? .nan)), "\(summary.calls)",
        short(summary.gigaflops), Quantity.bytes(result.deviceMemory?.peakAllocated ?? 0),
        Quantity.bytes(result.deviceMemory?.peakReserved ?? 0), short(median(result.firstCallSeconds)),
        short(median(result.startUpSeconds)),
      ])
    }
    return table.lines
  }

  /// Three significant digits, and all those before the point.
  static func short(_ value: Double) -> String {
    let digits = value.isFinite && value != 0 ? 2 - Int(log10(abs(value)).rounded(.down)) : 0
    return String(format: "%.\(min(max(digits, 0), 6))f", value)
  }

  private static func median(_ values: [Double]) -> Double { quantile(values.sorted(), 0.5) }
}
