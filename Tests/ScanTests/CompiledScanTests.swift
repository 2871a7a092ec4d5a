import Scan
import TestSupport
import Testing
import Torch

/// The instruction sets that the scan kernels have on this machine.
let capabilities: [String] = {
  defer { try? Engine.setScanCapability(nil) }
  return ["portable", "avx2", "avx512"].filter { (try? Engine.setScanCapability($0)) != nil }
}()

/// Compiled kernels against the definition.
///
/// Serialized, since the instruction set and the number of threads belong to the whole process.
@Suite(.serialized) struct CompiledScanTests {
  private func withEachCapability(_ body: (String) throws -> Void) throws {
    defer { try? Engine.setScanCapability(nil) }
    for capability in capabilities {
      try Engine.setScanCapability(capability)
      #expect(Engine.scanCapability == capability)
      try body(capability)
    }
  }

  @Test func portableIsEverywhereAndUnknownIsAnError() {
    #expect(capabilities.contains("portable"))
    #expect(throws: TorchError.self) { try Engine.setScanCapability("sse9") }
  }

  @Test(arguments: [1, 2, 7, 49, 63, 64, 65, 196], [DType.float32, .float64])
  func lengths(_ length: Int, _ dtype: DType) throws {
    let sizes = length < 100 ? [(1, 1), (8, 2), (16, 4)] : [(1, 4), (16, 1)]
    try withEachCapability { capability in
      for (states, groups) in sizes {
        let sample = ScanSample(groups: groups, states: states, length: length)
        expectCompiled(sample.scan(dtype).leaves(), matchesDefinition: "\(capability) \(dtype) \(sample)")
      }
    }
  }

  @Test func longSequence() throws {
    let sample = ScanSample(batch: 1, channels: 2, length: 3136)
    try withEachCapability { capability in
      expectCompiled(sample.scan(.float32).leaves(), matchesDefinition: "\(capability) \(sample)")
    }
  }

  @Test(arguments: [1, 8, 16], [1, 2, 4])
  func statesAndGroups(_ states: Int, _ groups: Int) throws {
    // 36 channels: whole vectors and a remainder in every group.
    let sample = ScanSample(channels: 36, groups: groups, states: states, length: 9)
    try withEachCapability { capability in
      expectCompiled(sample.scan(.float32).leaves(), matchesDefinition: "\(capability) \(sample)")
      expectCompiled(sample.scan(.float64).leaves(), matchesDefinition: "\(capability) float64 \(sample)")
    }
  }

  @Test(arguments: 0..<16) func options(_ bits: Int) throws {
    let sample = ScanSample(
      groups: 2, states: 3, length: 11, hasSkip: bits & 1 != 0, hasGate: bits & 2 != 0,
      hasBias: bits & 4 != 0,
      softplus: bits & 8 != 0)
    try withEachCapability { capability in
      for dtype in [DType.float32, .float64] {
        expectCompiled(sample.scan(dtype).leaves(), matchesDefinition: "\(capability) \(dtype) \(sample)")
      }
    }
  }

  @Test(arguments: [DType.bfloat16, .float16]) func halfWidth(_ dtype: DType) throws {
    let sample = ScanSample(channels: 20, groups: 2, states: 8, length: 33, hasGate: true)
    try withEachCapability { capability in
      expectCompiled(sample.scan(dtype).leaves(), matchesDefinition: "\(capability) \(dtype) \(sample)")
    }
  }

  @Test(arguments: [DType.float32, .float64, .bfloat16]) func stridedOperands(_ dtype: DType) throws {
    let sample = ScanSample(channels: 6, groups: 2, states: 3, length: 10, hasGate: true)
    let plain = sample.scan(dtype)
    // Each operand is laid out backwards in memory, or a slice of something larger.
    func transposed(_ x: Tensor) -> Tensor {
      x.rank == 3
        ? x.transpose(1, 2).contiguous().transpose(1, 2) : x.transpose(1, 3).contiguous().transpose(1, 3)
    }
    func sliced(_ x: Tensor) -> Tensor {
      concatenate([x, x, x], along: x.rank - 1).narrow(x.rank - 1, from: x.size(-1), length: x.size(-1))
    }
    for (name, layout) in [("transposed", transposed), ("sliced", sliced)] {
      let strided = plain.mapped { x in
        let x = x.detached().clone().requiringGradient()
        return x.rank < 3 ? x : layout(x)
      }
      #expect(!strided.u.isContiguous())
      try withEachCapability {
        expectCompiled(strided, matchesDefinition: "\($0) \(dtype) \(name) \(sample)")
      }
    }
  }

  @Test func finiteDifferences() {
    let sample = ScanSample(batch: 1, channels: 2, groups: 2, states: 2, length: 4, hasGate: true)
    let scan = sample.scan(.float64)
    gradientCheck("compiled \(sample)", scan.operands.map(\.tensor)) { x in
      SelectiveScan(
        u: x[0], delta: x[1], a: x[2], b: x[3], c: x[4], d: x[5], z: x[6], deltaBias: x[7], softplus: true)(
          .compiled
        ).y
    }
  }

  @Test func batchesAreIndependent() {
    let scan = ScanSample(batch: 2, channels: 20, states: 8, length: 65, hasGate: true).scan(.float32)
    let whole = scan(.compiled).y
    for index in 0..<2 {
      func part(_ x: Tensor) -> Tensor { x.rank < 3 ? x : x.narrow(0, from: index, length: 1) }
      expectClose(
        scan.mapped(part)(.compiled).y, whole.narrow(0, from: index, length: 1), 0, "batch \(index)")
    }
  }

  // In a process of its own: the number of threads is one for all tests.
  @Test func threadsDoNotChangeABit() async {
    await #expect(processExitsWith: .success) {
      let scan = ScanSample(batch: 3, channels: 33, groups: 3, states: 8, length: 70, hasGate: true).scan(
        .float32)
      func run(_ threads: Int) -> [Tensor] {
        Engine.threadCount = threads
        let leaves = scan.leaves()
        let (y, last) = leaves(.compiled)
        let found = gradients(of: [y.sum()], withRespectTo: leaves.operands.map(\.tensor))
        return [y.detached(), last] + found.compactMap(\.self)
      }
      for (index, (one, two)) in zip(run(1), run(2)).enumerated() {
        expectClose(one, two, 0, "result \(index)")
      }
    }
  }
}
