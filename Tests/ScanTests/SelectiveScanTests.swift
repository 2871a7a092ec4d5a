import Scan
import TestSupport
import Testing
import Torch

@Suite struct SelectiveScanDefinition {
  // Two states of one channel at three positions, by hand. The decay is 1/2 and 1/4 a position:
  //   h[0] = 1, 2.5, 7.25          (h/2 + B u with B = 1, 1, 2 and u = 1, 2, 3)
  //   h[1] = 1, 0.25, 3.0625       (h/4 + B u with B = 1, 0, 1)
  //   y = h[0] + 2 h[1] = 3, 3, 13.375
  private static var byHand: SelectiveScan {
    SelectiveScan(
      u: Tensor([1.0, 2, 3], [1, 1, 3]), delta: Tensor([1.0, 1, 1], [1, 1, 3]),
      a: Tensor([-0.693147180559945309417, -1.38629436111989061883], [1, 2]),
      b: Tensor([1.0, 1, 2, 1, 0, 1], [1, 1, 2, 3]), c: Tensor([1.0, 1, 1, 2, 2, 2], [1, 1, 2, 3]))
  }

  @Test(arguments: ScanKernel.allCases) func recurrenceByHand(_ kernel: ScanKernel) {
    let (y, last) = Self.byHand(kernel)
    expectClose(y, Tensor([3.0, 3, 13.375], [1, 1, 3]), 1e-15, "output")
    expectClose(last, Tensor([7.25, 3.0625], [1, 1, 2]), 1e-15, "last state")
  }

  @Test(arguments: ScanKernel.allCases) func skipAddsTheInput(_ kernel: ScanKernel) {
    var scan = Self.byHand
    scan.d = Tensor([10.0])
    expectClose(scan(kernel).y, Tensor([13.0, 23, 43.375], [1, 1, 3]), 1e-15)
  }

  @Test(arguments: ScanKernel.allCases) func biasIsPartOfTheStep(_ kernel: ScanKernel) {
    var scan = Self.byHand
    scan.delta = Tensor([0.25, 0.25, 0.25], [1, 1, 3])
    scan.deltaBias = Tensor([0.75])
    expectClose(scan(kernel).y, Tensor([3.0, 3, 13.375], [1, 1, 3]), 1e-15)
  }

  @Test(arguments: ScanKernel.allCases) func softplusFollowsTheBias(_ kernel: ScanKernel) {
    var scan = Self.byHand
    // softplus(log(e - 1)) = 1
    scan.delta = Tensor([0.541324854612918, 0.541324854612918, 0.541324854612918], [1, 1, 3]) - 2.0
    scan.deltaBias = Tensor([2.0])
    scan.softplus = true
    expectClose(scan(kernel).y, Tensor([3.0, 3, 13.375], [1, 1, 3]), 1e-14)
  }

  @Test(arguments: ScanKernel.allCases) func gateMultipliesAtTheEnd(_ kernel: ScanKernel) {
    var scan = Self.byHand
    scan.d = Tensor([10.0])
    // silu(log 3) = log 3 * 3/4
    scan.z = Tensor([1.09861228866811, 1.09861228866811, 0], [1, 1, 3])
    let factor = 1.09861228866811 * 0.75
    expectClose(scan(kernel).y, Tensor([13 * factor, 23 * factor, 0], [1, 1, 3]), 1e-13)
  }
}

private let reference = try? Fixture("selective_scan", in: .module)

@Suite struct SelectiveScanReference {
  @Test func isThere() throws { #expect(try #require(reference).cases.count == 9) }

  @Test(arguments: reference?.cases ?? [], ScanKernel.allCases)
  func outputsAndGradients(_ expected: Fixture.Case, _ kernel: ScanKernel) throws {
    try check(expected, kernel, .float64, output: 1e-11, gradient: 1e-11)
    try check(expected, kernel, .float32, output: 2e-5, gradient: 2e-5)
  }

  private func check(
    _ expected: Fixture.Case, _ kernel: ScanKernel, _ dtype: DType, output: Double, gradient: Double
  ) throws {
    let inputs = try expected.inputs(dtype).mapValues { $0.requiringGradient() }
    let scan = SelectiveScan(
      u: try #require(inputs["u"]), delta: try #require(inputs["delta"]), a: try #require(inputs["A"]),
      b: try #require(inputs["B"]), c: try #require(inputs["C"]), d: inputs["D"], z: inputs["z"],
      deltaBias: inputs["delta_bias"], softplus: try expected.attributes["delta_softplus"].bool())
    let (y, last) = scan(kernel)
    expectClose(y, try expected.output(), output, "\(expected.testDescription) \(dtype)")
    expectClose(
      last, try expected.content["last_state"].tensor(), output, "\(expected.testDescription) last state")
    try expectGradients(of: y, inputs, match: expected, gradient)
  }
}

@Suite struct SelectiveScanErrors {
  @Test(arguments: [
    ("delta", "delta: expected shape"), ("a", "A: expected shape"), ("b", "B: expected shape"),
    ("c", "C: expected shape"), ("d", "D: expected shape"), ("z", "z: expected shape"),
    ("bias", "delta bias: expected shape"), ("groups", "channels do not divide into"),
    ("rank", "u: expected [B, D, L]"),
  ])
  func wrongShapesAreSentences(_ operand: String, _ sentence: String) {
    var scan = ScanSample(states: 2, length: 5, hasGate: true).scan(.float32)
    switch operand {
    case "delta": scan.delta = .zeros([2, 4, 6])
    case "a": scan.a = .zeros([3, 2])
    case "b": scan.b = .zeros([2, 1, 2, 4])
    case "c": scan.c = .zeros([1, 1, 2, 5])
    case "d": scan.d = .zeros([5])
    case "z": scan.z = .zeros([2, 4])
    case "bias": scan.deltaBias = .zeros([4, 1])
    case "groups": scan.b = .zeros([2, 3, 2, 5])
    default: scan.u = .zeros([2, 4, 5, 1])
    }
    let error = #expect(throws: TorchError.self) {
      try withTorchErrors {
        _ = Tensor.selectiveScan(
          u: scan.u, delta: scan.delta, a: scan.a, b: scan.b, c: scan.c, d: scan.d, z: scan.z,
          deltaBias: scan.deltaBias, softplus: true)
      }
    }
    #expect(error?.message.contains(sentence) == true, "\(error?.message ?? "")")
  }

  @Test func compiledSecondDerivativeIsRefused() {
    let scan = ScanSample(length: 5).scan(.float64).leaves()
    let error = #expect(throws: TorchError.self) {
      try withTorchErrors {
        _ = gradients(of: [scan(.compiled).y.sum()], withRespectTo: [scan.u], createGraph: true)
      }
    }
    #expect(error?.message.contains("no second derivative; choose the naive kernel") == true)
  }

  @Test func definitionHasSecondDerivatives() throws {
    let scan = ScanSample(length: 3).scan(.float64).leaves()
    let first = gradients(of: [scan(.naive).y.sum()], withRespectTo: [scan.delta], createGraph: true)
    let second = gradients(of: [try #require(first[0]).sum()], withRespectTo: [scan.delta])
    expectFinite(try #require(second[0]))
  }
}
