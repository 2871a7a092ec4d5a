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
    if let index = settings.gpu {
      if let problem = CUDA.problem { throw BenchmarkError("\(problem).") }
      guard index < CUDA.deviceCount else { throw BenchmarkError("there is no GPU \(index).") }
      CUDA.allowsTF32 = settings.tf32
      // Shapes stay as they are, so that looking for the fastest algorithm pays.
      CUDA.searchConvolutions(true)
    }
    return try withScanKernel(kernel) { try withTorchErrors { measure(start) } }
  }

  private var device: Device { settings.device }

  private func measure(_ start: ContinuousClock.Instant) -> BenchmarkResult {
    let begin = clock.now
    var call = makeCall()
    device.synchronize()
    let built = clock.now
    call()
    device.synchronize()
    let first = clock.now
    let warm = first + .seconds(settings.warmUp)
    while clock.now < warm {
      call()
      device.synchronize()
    }
    device.resetPeakMemory()
    if settings.usesGraph {
      let graph = CUDAGraph(on: device, recording: call)
      call = { graph.replay() }
      call()
      device.synchronize()
    }
    let timer = DeviceTimer(
      device: device, duration: settings.duration, iterations: settings.iterations)
    let times = timer.times(call)
    let rate = settings.gpu == nil ? nil : windowRate(call, times.latencies)
    let memory = peakMemory()
    // Shapes alone, so that counting costs neither time nor memory.
    let shapes = architecture.makeModel(device: .meta)
    let multiplyAdds = withScanKernel(.compiled) {
      shapes.multiplyAdds(height: settings.height, width: settings.width).values.reduce(0, +)
    }
    return BenchmarkResult(
      settings: settings, engine: EngineDescription(device: device), parameters: shapes.store.parameterCount,
      multiplyAdds: multiplyAdds, buildSeconds: [(built - begin) / .seconds(1)],
      firstCallSeconds: [(first - built) / .seconds(1)],
      startUpSeconds: [(first - start) / .seconds(1)], peakMemoryBytes: memory, latencies: times.latencies,
      wallLatencies: times.wall, windowImagesPerSecond: rate.map { [$0] }, deviceMemory: device.memory,
      clockMegahertz: settings.gpu.flatMap(GPUClock.megahertz).map { [$0] })
  }

  /// Builds the model, which the call alone keeps.
  private func makeCall() -> () -> Void {
    let model = architecture.makeModel(
      seed: settings.seed, dtype: settings.dtype.parameterType, device: device)
    if settings.mode == .train { return trainingStep(model) }
    let dtype = device.isCUDA ? settings.dtype.castType : nil
    return inference(settings.isPlain ? model.backbone : model.prepared(dtype: dtype).backbone)
  }

  /// Images per second of as many calls as fill the time, none of which waits for another.
  private func windowRate(_ call: () -> Void, _ latencies: [Double]) -> Double {
    let typical = max(1e-6, quantile(latencies.sorted(), 0.5))
    let calls = settings.iterations ?? max(3, Int(min(1e6, settings.duration / typical)))
    let start = clock.now
    for _ in 0..<calls { call() }
    device.synchronize()
    return Double(calls * settings.batch) / ((clock.now - start) / .seconds(1))
  }

  private var images: Tensor {
    let shape = [settings.batch, 3, settings.height, settings.width]
    return Tensor.normal(shape, generator: Generator(seed: settings.seed))
      .to(
        device: device, dtype: settings.dtype.parameterType,
        format: settings.layout == .channelsLast ? .channelsLast : nil)
  }

  private func cast<Result>(_ body: () -> Result) -> Result {
    withAutocast(settings.dtype.castType, on: device, body)
  }

  private func inference(_ backbone: any Backbone) -> () -> Void {
    let images = images
    return { withoutGradients { _ = cast { backbone(images) } } }
  }

  private func trainingStep(_ model: Model) -> () -> Void {
    let images = images
    let labels = Tensor((0..<settings.batch).map { Int64($0 % 1000) }).to(device: device)
    let parameters = model.store.parameters
    let optimizer = AdamW([ParameterGroup(parameters, weightDecay: 0.05)])
    let mode = model.store.mode
    mode.isTraining = true
    // What a loss in float16 is multiplied by at the start of training.
    let scale = settings.dtype == .float16 ? 65_536.0 : nil
    return {
      mode.step += 1
      let logits = cast { model.backbone(images) }
      let loss = logits.to(settings.dtype.parameterType).crossEntropy(labels)
      model.store.clearGradients()
      guard let scale else {
        loss.backward()
        // A rate of 0 does all of a step's work and keeps the weights, so that every call computes the same.
        optimizer.step(learningRate: 0)
        return
      }
      (loss * scale).backward()
      scaleGradients(of: parameters, by: 1 / scale)
      let norm = clipGradients(of: parameters, toNorm: .infinity)
      optimizer.step(learningRate: 0, unless: (!norm.isFinite()).to(.float32))
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
