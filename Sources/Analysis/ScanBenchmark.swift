public import Backbones
import Foundation
import Layers
public import Scan
public import Torch

/// Measures the one-pass 2-D scan alone, against what the machine allows.
///
/// Two roofs are known of a GPU. Bytes: a forward pass reads the map and its projections once and writes its result once; a
/// backward pass reads the same and the result's gradient, and writes the gradients of map and projections; divided by the
/// rate of a large copy on the same device. Special functions: each element takes two for the softplus of its time step
/// and one for the decay of each state, in each of four directions, and once more in a backward pass that recomputes them;
/// divided by the 16 that a multiprocessor does in a clock, at its highest clock.
public struct ScanBenchmark {
  /// The sizes of a scan.
  public struct Shape: Hashable, Codable, Sendable {
    /// The model that has this scan.
    public var model: String
    /// The stage, from 1.
    public var stage: Int
    /// Images.
    public var batch = 1
    /// Channels of the map.
    public var channels: Int
    /// Rows of the map.
    public var height: Int
    /// Columns of the map.
    public var width: Int
    /// States of a channel.
    public var states: Int
    /// The rank of the time step.
    public var rank: Int

    /// Elements of the map.
    public var elements: Int { batch * channels * height * width }
    /// Elements of the projections to time step, B and C.
    public var projectionElements: Int { batch * 4 * (rank + 2 * states) * height * width }
  }

  /// How a scan is measured.
  public struct Settings: Sendable {
    var shape: Shape
    var dtype: BenchmarkCase.Precision
    var layout: BenchmarkCase.Layout
    var device: Device
    var warmUp, duration: Double
    var iterations: Int?

    /// A measurement of that many calls, or for that many seconds, after a warm-up.
    public init(
      shape: Shape, dtype: BenchmarkCase.Precision, layout: BenchmarkCase.Layout, device: Device,
      warmUp: Double, duration: Double, iterations: Int?
    ) {
      (self.shape, self.dtype, self.layout, self.device) = (shape, dtype, layout, device)
      (self.warmUp, self.duration, self.iterations) = (warmUp, duration, iterations)
    }
  }

  /// What one way through the scan takes, and what it must move and compute.
  public struct Pass: Codable, Sendable {
    /// The median of all calls, in seconds.
    public var seconds: Double
    /// The quartiles of all calls, in seconds.
    public var quartiles: [Double]
    /// The calls.
    public var calls: Int
    /// The bytes that must be read and written.
    public var bytes: Int
    /// The special functions that must be computed.
    public var specialFunctions: Int
    /// The time that bytes take at the rate of a copy; absent on a CPU.
    public var byteRoof: Double?
    /// The time that special functions take; absent on a CPU.
    public var functionRoof: Double?

    /// The larger of the roofs as a share of the time.
    public var share: Double? {
      guard let byteRoof, let functionRoof else { return nil }
      return max(byteRoof, functionRoof) / seconds
    }
  }

  /// One scan, measured.
  public struct Result: Codable, Sendable {
    /// The sizes.
    public var shape: Shape
    /// The type of map and projections.
    public var dtype: String
    /// The order of the map in memory.
    public var layout: String
    /// The kernel without gradients.
    public var forward: Pass
    /// The kernel and its gradients.
    public var training: Pass
    /// The median of forward passes with the product that makes the projections, in seconds.
    public var withProjections: Double
  }

  private let settings: Settings
  private let clock = ContinuousClock()

  /// A measurement that has not begun.
  public init(_ settings: Settings) { self.settings = settings }

  /// The first 2-D scan of each stage of a model, at its own image size; none if it has none.
  public static func shapes(of architecture: Architecture) -> [Shape] {
    let model = architecture.makeModel(device: .meta)
    let (height, width) = architecture.input.imageSize
    let maps = model.backbone.featureInfo
    var shapes: [Shape] = []
    for (index, info) in maps.enumerated() {
      let weights = model.store.entries.filter { entry in
        entry.key.hasSuffix("dt_projs_weight")
          && entry.key.split(separator: ".").contains { $0 == "\(index)" }
      }
      // The stage's number comes first among the numbers of a key.
      let own = weights.first { $0.key.split(separator: ".").lazy.compactMap { Int($0) }.first == index }
      guard let weight = own, weight.tensor.rank == 3,
        let logA = model.store[weight.key.replacing("dt_projs_weight", with: "A_logs")]
      else { continue }
      shapes.append(
        Shape(
          model: architecture.rawValue, stage: index + 1, channels: weight.tensor.size(1),
          height: height / info.stride, width: width / info.stride, states: logA.tensor.size(1),
          rank: weight.tensor.size(2)))
    }
    return shapes
  }

  /// Warms up and measures.
  ///
  /// - Throws: `TorchError` if the engine cannot compute, for example for want of memory.
  public func run() throws -> Result { try withTorchErrors { measure() } }

  private func measure() -> Result {
    let (shape, device) = (settings.shape, settings.device)
    let (K, D, N, R) = (4, shape.channels, shape.states, shape.rank)
    let type = settings.dtype.castType ?? settings.dtype.parameterType
    let wide = settings.dtype.parameterType
    let generator = Generator(seed: 0)
    func drawn(_ sizes: [Int], _ dtype: DType) -> Tensor {
      Tensor.uniform(sizes, low: -1, high: 1, generator: generator).to(device: device, dtype: dtype)
    }
    func ordered(_ x: Tensor) -> Tensor {
      settings.layout == .channelsLast ? x.contiguous(.channelsLast) : x
    }
    let x = ordered(drawn([shape.batch, D, shape.height, shape.width], type))
    let rows = ScanRows(rank: R, states: N)
    let rank = device.isCUDA ? rows.rank : R
    let columns = rank + 2 * N
    let row = device.isCUDA ? rows.width : columns
    let weight = drawn([K * row, D], type) * (1 / Double(D).squareRoot())
    let parameters = [
      drawn([K, D, rank], wide), drawn([K, D], wide) - 1, drawn([K * D, N], wide).exp() * -1,
      drawn([K * D], wide),
    ]
    func project(_ x: Tensor) -> Tensor {
      if device.isCUDA {
        let pixels = x.contiguous(.channelsLast).permute(0, 2, 3, 1).flatten(from: 1, to: 2)  // [B, L, D]
        return pixels.linear(weight).reshape(shape.batch, -1, K, row).narrow(3, from: 0, length: columns)
          .permute(0, 2, 3, 1)  // [B, K, R + 2N, L]
      }
      return settings.layout == .channelsLast
        ? x.permute(0, 2, 3, 1).flatten(from: 1, to: 2).linear(weight).transpose(1, 2)
        : weight.unsqueeze(0).expand([shape.batch] + weight.shape).matmul(x.flatten(from: 2))
    }
    func scan(_ x: Tensor, _ projections: Tensor, _ p: [Tensor]) -> Tensor {
      .scan2D(x, projections: projections, deltaWeight: p[0], deltaBias: p[1], a: p[2], d: p[3])
    }
    let projections = withoutGradients { project(x) }
    let result = withoutGradients { scan(x, projections, parameters) }
    let resultBytes = result.dtype.byteCount
    let probe = ordered(drawn(result.shape, result.dtype))
    let leaves = ([x, projections] + parameters).map { $0.detached().requiringGradient() }

    let forward = times { withoutGradients { _ = scan(x, projections, parameters) } }
    let whole = times { withoutGradients { _ = scan(x, project(x), parameters) } }
    let training = times {
      let y = scan(leaves[0], leaves[1], Array(leaves.dropFirst(2)))
      _ = gradients(of: [y], withRespectTo: leaves, seeds: [probe])
    }
    let inputs = (shape.elements + shape.projectionElements) * type.byteCount
    let outputs = shape.elements * resultBytes
    let functions = shape.elements * K * (2 + N)
    return Result(
      shape: shape, dtype: type.name, layout: settings.layout.rawValue,
      forward: pass(forward, inputs + outputs, functions),
      training: pass(training, 3 * inputs + 2 * outputs, 2 * functions),
      withProjections: quantile(whole.sorted(), 0.5))
  }

  private func pass(_ times: [Double], _ bytes: Int, _ functions: Int) -> Pass {
    let sorted = times.sorted()
    return Pass(
      seconds: quantile(sorted, 0.5), quartiles: [quantile(sorted, 0.25), quantile(sorted, 0.75)],
      calls: times.count, bytes: bytes, specialFunctions: functions)
  }

  /// The seconds of each call after a warm-up.
  private func times(_ call: () -> Void) -> [Double] {
    let timer = DeviceTimer(
      device: settings.device, duration: settings.duration / 3, iterations: settings.iterations)
    return timer.latencies(after: settings.warmUp / 4, call)
  }
}

extension ScanBenchmark {
  /// Scans of one call with what the device is able to do.
  public struct Report: Encodable, Sendable {
    /// What computed.
    public let engine: EngineDescription
    /// The rate of a device-to-device copy of 1 GiB, bytes read and written per second; absent on a CPU.
    public let copyBytesPerSecond: Double?
    /// Operations per second of a product of two bfloat16 matrices of 8192x8192; absent on a CPU.
    public let matrixOperationsPerSecond: Double?
    /// The special functions of all multiprocessors per second at their highest clock; absent on a CPU.
    public let specialFunctionsPerSecond: Double?
    /// The scans.
    public private(set) var results: [Result] = []

    /// A report without scans: measures the device.
    ///
    /// - Throws: `TorchError` if the device cannot compute.
    public init(device: Device) throws {
      engine = EngineDescription(device: device)
      guard let gpu = engine.gpu else {
        (copyBytesPerSecond, matrixOperationsPerSecond, specialFunctionsPerSecond) = (nil, nil, nil)
        return
      }
      specialFunctionsPerSecond = 16 * Double(gpu.multiprocessors) * Double(gpu.clockMegahertz) * 1e6
      (copyBytesPerSecond, matrixOperationsPerSecond) = try withTorchErrors {
        (Self.copyRate(device), Self.matrixRate(device))
      }
      Device.releaseUnusedMemory()
    }

    private static func copyRate(_ device: Device) -> Double {
      let source = Tensor.zeros([1 << 28], device: device)
      let target = Tensor.zeros([1 << 28], device: device)
      let timer = DeviceTimer(device: device, duration: 0.5)
      let seconds = quantile(timer.latencies(after: 0.1) { target.copy(from: source) }.sorted(), 0.5)
      return Double(2 * source.byteCount) / seconds
    }

    private static func matrixRate(_ device: Device) -> Double {
      let side = 8192
      let generator = Generator(seed: 0)
      let matrices = (0..<2).map { _ in
        Tensor.normal([side, side], generator: generator).to(device: device, dtype: .bfloat16)
      }
      let timer = DeviceTimer(device: device, duration: 0.5)
      let times = timer.latencies(after: 0.2) { withoutGradients { _ = matrices[0].matmul(matrices[1]) } }
      return 2 * pow(Double(side), 3) / quantile(times.sorted(), 0.5)
    }

    /// Appends a scan, with the roofs of the device.
    public mutating func add(_ result: Result) {
      var result = result
      for path in [\Result.forward, \Result.training] {
        result[keyPath: path].byteRoof = copyBytesPerSecond.map { Double(result[keyPath: path].bytes) / $0 }
        result[keyPath: path].functionRoof = specialFunctionsPerSecond.map {
          Double(result[keyPath: path].specialFunctions) / $0
        }
      }
      results.append(result)
    }

    /// The report for people.
    public var lines: [String] {
      var lines: [String] = []
      if let copyBytesPerSecond, let matrixOperationsPerSecond, let specialFunctionsPerSecond {
        let (copy, product) = (short(copyBytesPerSecond / 1e9), short(matrixOperationsPerSecond / 1e12))
        lines.append(
          "copy \(copy) GB/s, bfloat16 product \(product) TFLOP/s, "
            + "special functions \(short(specialFunctionsPerSecond / 1e12)) T/s at the highest clock")
      }
      let hasRoofs = !lines.isEmpty
      var columns: [(String, TextTable.Alignment)] = [
        ("model", .left), ("stage", .right), ("map", .right), ("N", .right), ("R", .right), ("type", .left),
        ("layout", .left),
      ]
      for title in ["forward", "+ backward"] {
        columns += [("\(title) ms", .right), ("MB", .right)]
        if hasRoofs { columns += [("bytes ms", .right), ("functions ms", .right), ("of roof", .right)] }
      }
      var table = TextTable(columns + [("with projections ms", .right)])
      for result in results { table.append(row(result, hasRoofs)) }
      return lines + table.lines
    }

    private func row(_ result: Result, _ hasRoofs: Bool) -> [String] {
      let shape = result.shape
      var cells = [
        shape.model, "\(shape.stage)", "\(shape.batch)x\(shape.channels)x\(shape.height)x\(shape.width)",
        "\(shape.states)", "\(shape.rank)", result.dtype, result.layout,
      ]
      for pass in [result.forward, result.training] {
        cells += [short(1000 * pass.seconds), short(Double(pass.bytes) / 1e6)]
        if hasRoofs {
          let share = pass.share.map { String(format: "%.0f %%", 100 * $0) }
          cells += [
            short(1000 * (pass.byteRoof ?? .nan)), short(1000 * (pass.functionRoof ?? .nan)), share ?? "-",
          ]
        }
      }
      return cells + [short(1000 * result.withProjections)]
    }

    private func short(_ value: Double) -> String { BenchmarkTable.short(value) }
  }
}
