import Foundation
public import Scan

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
  /// The seconds of each call that counts.
  public var latencies: [Double]

  /// The figures that follow from the calls.
  public var summary: Summary { Summary(self) }

  /// The same case measured once more, in another process.
  public mutating func merge(_ other: BenchmarkResult) {
    buildSeconds += other.buildSeconds
    firstCallSeconds += other.firstCallSeconds
    startUpSeconds += other.startUpSeconds
    peakMemoryBytes = max(peakMemoryBytes, other.peakMemoryBytes)
    latencies += other.latencies
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

    init(_ result: BenchmarkResult) {
      let sorted = result.latencies.sorted()
      let images = Double(result.settings.batch)
      calls = sorted.count
      p50 = quantile(sorted, 0.5)
      p90 = quantile(sorted, 0.9)
      p99 = quantile(sorted, 0.99)
      imagesPerSecond = images / p50
      imagesPerSecondQuartiles = [images / quantile(sorted, 0.75), images / quantile(sorted, 0.25)]
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

  /// Three significant digits, and all those before the point.
  static func short(_ value: Double) -> String {
    let digits = value.isFinite && value != 0 ? 2 - Int(log10(abs(value)).rounded(.down)) : 0
    return String(format: "%.\(min(max(digits, 0), 6))f", value)
  }

  private static func median(_ values: [Double]) -> Double { quantile(values.sorted(), 0.5) }
}
