import Scan
import TestSupport
import Testing
import Torch

/// The sizes of a two-dimensional scan.
struct MapSample: Sendable, CustomTestStringConvertible {
  var batch = 2
  var channels = 5
  var height: Int
  var width: Int
  var states = 1
  var rank = 1

  var testDescription: String { "B\(batch) D\(channels) \(height)x\(width) N\(states) R\(rank)" }

  var shape: [Int] { [batch, channels, height, width] }

  func map(_ dtype: DType) -> Tensor { .filled(shape, key: "map \(shape)", dtype: dtype) }

  /// The operator's parameters: projection, time-step weight and bias, log A, skip.
  func parameters(_ dtype: DType) -> [Tensor] {
    let (K, D, N, R) = (4, channels, states, rank)
    func filled(_ name: String, _ shape: [Int], _ low: Double, _ high: Double) -> Tensor {
      .filled(shape, key: "\(name) \(shape)", low: low, high: high, dtype: dtype)
    }
    return [
      filled("projection", [K * (R + 2 * N), D, 1], -0.7, 0.7), filled("delta weight", [K, D, R], -0.7, 0.7),
      filled("delta bias", [K, D], -2, 0), filled("log A", [K * D, N], 0, 1),
      filled("skip", [K * D], 0.5, 1.5),
    ]
  }
}

extension Scan2D {
  init(_ parameters: [Tensor]) {
    self.init(
      projection: parameters[0], deltaWeight: parameters[1], deltaBias: parameters[2], logA: parameters[3],
      skip: parameters[4])
  }
}

extension CompiledScanTests {
  private static let parameterNames = ["projection", "delta weight", "delta bias", "log A", "skip"]

  /// Expects the compiled scan of `x` in its type to give what the definition gives for it in float64.
  private func expectMap(_ sample: MapSample, _ x: Tensor, _ label: String) {
    let dtype = x.dtype
    let wide: DType = dtype == .float64 ? .float64 : .float32
    func leaf(_ x: Tensor, _ dtype: DType) -> Tensor { x.detached().to(dtype).requiringGradient() }
    let exactInput = leaf(x.clone().contiguous(), .float64)
    let exact = sample.parameters(wide).map { leaf($0.clone(), .float64) }
    let y = Scan2D(exact)(exactInput, .naive)
    let probe = Tensor.filled(y.shape, key: "map probe", dtype: .float64)
    let expected = gradients(of: [(y * probe).sum()], withRespectTo: [exactInput] + exact)

    let own = sample.parameters(wide).map { leaf($0.clone(), wide) }
    let input = x.requiringGradient()
    // A half-width map takes its projections in its own type, as under automatic casts.
    let (result, found) = withPoisonedAllocations {
      let result = dtype == wide ? Scan2D(own)(input, .compiled) : halfWidth(own, input)
      return (result, gradients(of: [result], withRespectTo: [input] + own, seeds: [probe.to(result.dtype)]))
    }
    let isHalf = dtype == .bfloat16 || dtype == .float16
    let limit = isHalf ? (dtype == .bfloat16 ? 4e-2 : 5e-3) : ScanTolerance(dtype).output
    expectClose(result, y, limit, "\(label) \(sample): output")
    for (index, name) in (["x"] + Self.parameterNames).enumerated() {
      guard let gradient = found[index], let reference = expected[index] else {
        Issue.record("\(label) \(sample): no gradient by \(name)")
        continue
      }
      expectClose(
        gradient, reference, isHalf ? limit : ScanTolerance(dtype).gradient,
        "\(label) \(sample): gradient by \(name)")
    }
  }

  private func halfWidth(_ parameters: [Tensor], _ input: Tensor) -> Tensor {
    withAutocast(input.dtype, on: .cpu) { Scan2D(parameters)(input, .compiled) }
  }

  private func onEachCapability(_ body: (String) throws -> Void) throws {
    defer { try? Engine.setScanCapability(nil) }
    for capability in capabilities {
      try Engine.setScanCapability(capability)
      try body(capability)
    }
  }

  @Test(arguments: [(1, 1), (1, 7), (7, 7), (14, 14), (13, 29)], [(1, 1), (2, 6), (16, 20)])
  func maps(_ size: (Int, Int), _ inner: (Int, Int)) throws {
    let sample = MapSample(height: size.0, width: size.1, states: inner.0, rank: inner.1)
    try onEachCapability { capability in
      for dtype in [DType.float32, .float64] {
        expectMap(sample, sample.map(dtype), "\(capability) \(dtype)")
      }
    }
  }

  @Test func largeMap() throws {
    let sample = MapSample(batch: 1, channels: 2, height: 56, width: 56, rank: 6)
    try onEachCapability { expectMap(sample, sample.map(.float32), $0) }
  }

  @Test(arguments: [1, 16, 33]) func channelCounts(_ channels: Int) throws {
    let sample = MapSample(channels: channels, height: 5, width: 6, rank: 3)
    try onEachCapability { expectMap(sample, sample.map(.float32), $0) }
  }

  @Test(arguments: [DType.bfloat16, .float16]) func halfWidthMaps(_ dtype: DType) throws {
    let sample = MapSample(channels: 17, height: 7, width: 9, rank: 2)
    try onEachCapability { expectMap(sample, sample.map(dtype), "\($0) \(dtype)") }
  }

  @Test(arguments: [DType.float32, .float64]) func layouts(_ dtype: DType) throws {
    let sample = MapSample(channels: 6, height: 5, width: 8, states: 2, rank: 3)
    let x = sample.map(dtype)
    let layouts = [
      ("channels last", x.contiguous(.channelsLast)),
      ("transposed", x.transpose(2, 3).contiguous().transpose(2, 3)),
      ("sliced", concatenate([x, x], along: 3).narrow(3, from: 8, length: 8)),
    ]
    for (name, laidOut) in layouts {
      #expect(!laidOut.isContiguous())
      try onEachCapability { expectMap(sample, laidOut.detached(), "\($0) \(dtype) \(name)") }
    }
  }

  @Test func finiteDifferencesOfMaps() {
    let sample = MapSample(batch: 1, channels: 2, height: 2, width: 3, states: 2, rank: 1)
    gradientCheck("compiled \(sample)", [sample.map(.float64)] + sample.parameters(.float64)) { x in
      Scan2D(Array(x.dropFirst()))(x[0], .compiled)
    }
  }

  @Test(arguments: ScanKernel.allCases) func transposingTheMapSwapsDirections(_ kernel: ScanKernel) {
    let sample = MapSample(height: 4, width: 6, states: 2, rank: 3)
    let (x, parameters) = (sample.map(.float64), sample.parameters(.float64))
    // Rows become columns: 0 and 1 change places, and so do 2 and 3.
    let swapped = parameters.map { parameter in
      let parts = parameter.chunk(4, along: 0)
      return concatenate([parts[1], parts[0], parts[3], parts[2]], along: 0)
    }
    expectClose(
      Scan2D(swapped)(x.transpose(2, 3), kernel).transpose(2, 3), Scan2D(parameters)(x, kernel), 1e-12)
  }

  @Test(arguments: ScanKernel.allCases) func turningTheMapSwapsReverses(_ kernel: ScanKernel) {
    let sample = MapSample(height: 4, width: 6, states: 2, rank: 3)
    let (x, parameters) = (sample.map(.float64), sample.parameters(.float64))
    let swapped = parameters.map { parameter in
      let parts = parameter.chunk(4, along: 0)
      return concatenate([parts[2], parts[3], parts[0], parts[1]], along: 0)
    }
    expectClose(Scan2D(swapped)(x.flip(2, 3), kernel).flip(2, 3), Scan2D(parameters)(x, kernel), 1e-12)
  }

  @Test func mapsOfABatchAreIndependent() {
    let sample = MapSample(channels: 20, height: 9, width: 7, rank: 3)
    let (x, scan) = (sample.map(.float64), Scan2D(sample.parameters(.float64)))
    let whole = scan(x, .compiled)
    for index in 0..<2 {
      // The projections' matrix product may round differently for another batch.
      expectClose(
        scan(x.narrow(0, from: index, length: 1), .compiled), whole.narrow(0, from: index, length: 1), 1e-14)
    }
  }

  // In a process of its own: the number of threads is one for all tests.
  @Test func threadsDoNotChangeABitOfAMap() async {
    await #expect(processExitsWith: .success) {
      let sample = MapSample(batch: 3, channels: 33, height: 9, width: 7, rank: 3)
      let (K, L) = (4, 63)
      let projections = Tensor.filled([3, K * (3 + 2), L], key: "projections")
      let own = sample.parameters(.float32)
      func run(_ threads: Int) -> [Tensor] {
        Engine.threadCount = threads
        let leaves = ([sample.map(.float32), projections] + own.dropFirst()).map {
          $0.clone().requiringGradient()
        }
        let y = Tensor.scan2D(
          leaves[0], projections: leaves[1], deltaWeight: leaves[2], deltaBias: leaves[3],
          a: -leaves[4].exp(),
          d: leaves[5])
        return [y.detached()] + gradients(of: [y.sum()], withRespectTo: leaves).compactMap(\.self)
      }
      for (index, (one, two)) in zip(run(1), run(2)).enumerated() {
        expectClose(one, two, 0, "result \(index)")
      }
    }
  }

  @Test func wrongMapsAreSentences() {
    let sample = MapSample(height: 3, width: 4)
    var parameters = sample.parameters(.float32)
    parameters[4] = .zeros([19])
    let error = #expect(throws: TorchError.self) {
      try withTorchErrors { _ = Scan2D(parameters)(sample.map(.float32), .compiled) }
    }
    #expect(error?.message.contains("D: expected shape [20], got [19]") == true, "\(error?.message ?? "")")
  }

  @Test func secondDerivativeOfAMapIsRefused() {
    let sample = MapSample(height: 3, width: 4)
    let x = sample.map(.float64).requiringGradient()
    let error = #expect(throws: TorchError.self) {
      try withTorchErrors {
        let y = Scan2D(sample.parameters(.float64))(x, .compiled)
        _ = gradients(of: [y.sum()], withRespectTo: [x], createGraph: true)
      }
    }
    #expect(error?.message.contains("choose the naive kernel") == true)
  }
}
