import Backbones
import Foundation
import Layers
import Scan
import Torch

/// Measures one case in this process.
///
/// Peak memory is the process's own, so a process of its own for each case gives each its own.
public struct Benchmark {
  private let settings: BenchmarkCase
  private let architecture: Architecture
  private let kernel: ScanKernel
  private let clock = ContinuousClock()

  /// A measurement that has not begun.
  ///
  /// - Throws: ``BenchmarkError`` if there is no such model or kernel.
  public init(_ settings: BenchmarkCase) throws {
    guard let architecture = Architecture(rawValue: settings.model) else {
      throw BenchmarkError("there is no model `\(settings.model)`.")
    }
    guard let kernel = ScanKernel(rawValue: settings.kernel) else {
      throw BenchmarkError("there is no scan kernel `\(settings.kernel)`.")
    }
    (self.settings, self.architecture, self.kernel) = (settings, architecture, kernel)
  }

  /// Builds the model, warms up, measures.
  ///
  /// - Parameter start: when the process started; now if absent.
  /// - Returns: the result.
  /// - Throws: `TorchError` if the engine cannot compute, for example for want of memory.
  public func run(since start: ContinuousClock.Instant? = nil) throws -> BenchmarkResult {
    let start = start ?? clock.now
    if let threads = settings.threads { Engine.threadCount = threads }
    return try withScanKernel(kernel) { try withTorchErrors { measure(start) } }
  }

  private func measure(_ start: ContinuousClock.Instant) -> BenchmarkResult {
    let begin = clock.now
    let call = makeCall()
    let built = clock.now
    call()
    let first = clock.now
    let warm = first + .seconds(settings.warmUp)
    while clock.now < warm { call() }
    let latencies = timed(call)
    let memory = peakMemory()
    // Shapes alone, so that counting costs neither time nor memory.
    let shapes = architecture.makeModel(device: .meta)
    let multiplyAdds = withScanKernel(.compiled) {
      shapes.multiplyAdds(height: settings.height, width: settings.width).values.reduce(0, +)
    }
    return BenchmarkResult(
      settings: settings, engine: EngineDescription(), parameters: shapes.store.parameterCount,
      multiplyAdds: multiplyAdds, buildSeconds: [(built - begin) / .seconds(1)],
      firstCallSeconds: [(first - built) / .seconds(1)],
      startUpSeconds: [(first - start) / .seconds(1)], peakMemoryBytes: memory, latencies: latencies)
  }

  /// Builds the model, which the call alone keeps.
  private func makeCall() -> () -> Void {
    let model = architecture.makeModel(
      seed: settings.seed, dtype: settings.dtype == .float64 ? .float64 : .float32)
    if settings.mode == .train { return trainingStep(model) }
    return inference(settings.isPlain ? model.backbone : model.prepared().backbone)
  }

  private func timed(_ call: () -> Void) -> [Double] {
    var latencies: [Double] = []
    let begin = clock.now
    while !isEnough(latencies.count, clock.now - begin) {
      let start = clock.now
      call()
      latencies.append((clock.now - start) / .seconds(1))
    }
    return latencies
  }

  private func isEnough(_ calls: Int, _ time: Duration) -> Bool {
    if let iterations = settings.iterations { return calls >= iterations }
    return calls >= 3 && time >= .seconds(settings.duration)
  }

  private var images: Tensor {
    let shape = [settings.batch, 3, settings.height, settings.width]
    return Tensor.normal(shape, generator: Generator(seed: settings.seed))
      .to(
        dtype: settings.dtype == .float64 ? .float64 : .float32,
        format: settings.layout == .channelsLast ? .channelsLast : nil)
  }

  private func cast<Result>(_ body: () -> Result) -> Result {
    withAutocast(settings.dtype == .bfloat16 ? .bfloat16 : nil, on: .cpu, body)
  }

  private func inference(_ backbone: any Backbone) -> () -> Void {
    let images = images
    return { withoutGradients { _ = cast { backbone(images) } } }
  }

  private func trainingStep(_ model: Model) -> () -> Void {
    let images = images
    let labels = Tensor((0..<settings.batch).map { Int64($0 % 1000) })
    let optimizer = AdamW([ParameterGroup(model.store.parameters, weightDecay: 0.05)])
    let mode = model.store.mode
    mode.isTraining = true
    return {
      mode.step += 1
      let logits = cast { model.backbone(images) }
      let loss = logits.to(settings.dtype == .float64 ? .float64 : .float32).crossEntropy(labels)
      model.store.clearGradients()
      loss.backward()
      // A rate of 0 does all of a step's work and keeps the weights, so that every call computes the same.
      optimizer.step(learningRate: 0)
    }
  }
}

/// Why a case cannot be measured.
public struct BenchmarkError: Error, CustomStringConvertible, Hashable, Sendable {
  /// One sentence.
  public let description: String

  /// An error with that sentence.
  public init(_ description: String) { self.description = description }
}

/// The largest memory that this process has occupied, in bytes.
func peakMemory() -> Int {
  #if os(Linux)
    // Not `getrusage`, whose figure a process inherits from the one that started it.
    let text = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let line = text.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
    let kibibytes = line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }
    return (kibibytes ?? 0) << 10
  #else
    var usage = rusage()
    return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_maxrss : 0
  #endif
}
