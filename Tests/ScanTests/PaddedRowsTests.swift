import TestSupport
import Testing
import Torch

@testable import Scan

@Suite("Padded rows of projections, as kernels for GPUs read them")
struct PaddedRowsTests {
  /// Odd and even ranks, with rows that fill a multiple of 8 and that do not.
  @Test(arguments: [(1, 1), (6, 1), (3, 1), (20, 1), (7, 2), (4, 2), (21, 1)])
  func areTheSameScan(_ inner: (rank: Int, states: Int)) {
    let sample = MapSample(channels: 6, height: 5, width: 4, states: inner.states, rank: inner.rank)
    let parameters = sample.parameters(.float64).map { $0.requiringGradient() }
    let x = sample.map(.float64).contiguous(.channelsLast).requiringGradient()
    let scan = Scan2D(parameters)
    let expected = scan(x, .naive)
    let rows = scan.inRows(x)
    expectClose(rows, expected, 1e-12, "output")
    let probe = Tensor.filled(expected.shape, key: "rows probe", dtype: .float64)
    let inputs = [x] + parameters
    let found = gradients(of: [rows], withRespectTo: inputs, seeds: [probe])
    let reference = gradients(of: [expected], withRespectTo: inputs, seeds: [probe])
    for (index, (own, other)) in zip(found, reference).enumerated() {
      guard let own, let other else {
        Issue.record("no gradient by input \(index)")
        continue
      }
      expectClose(own, other, 1e-11, "gradient by input \(index)")
    }
  }
}
