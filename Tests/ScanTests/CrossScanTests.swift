import Scan
import TestSupport
import Testing
import Torch

private let reference = try? Fixture("cross_scan", in: .module)

@Suite struct CrossScanTests {
  @Test func isThere() throws { #expect(try #require(reference).cases.count == 8) }

  @Test(arguments: reference?.cases ?? [])
  func ordersAndAdjoint(_ expected: Fixture.Case) throws {
    for (dtype, tolerance) in [(DType.float64, 1e-11), (.float32, 2e-6)] {
      let inputs = try expected.inputs(dtype).mapValues { $0.requiringGradient() }
      let output = try inputs["x"].map(crossScan) ?? crossMerge(#require(inputs["y"]))
      expectClose(output, try expected.output(), tolerance, expected.testDescription)
      try expectGradients(of: output, inputs, match: expected, tolerance)
    }
  }

  @Test func ordersByHand() {
    let x = Tensor([1.0, 2, 3, 4, 5, 6], [1, 1, 2, 3])
    expectEqual(
      crossScan(x), [1, 2, 3, 4, 5, 6, 1, 4, 2, 5, 3, 6, 6, 5, 4, 3, 2, 1, 6, 3, 5, 2, 4, 1], [1, 4, 1, 6])
  }
}
