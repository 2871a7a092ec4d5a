import CUDALaunches
import Testing
import Torch

/// The host's half of the kernels too: plans, arguments, strides, sums of partial results.
@Suite("Launches of CUDA kernels, computed on the processor")
struct LaunchTests {
  struct Case: CustomTestStringConvertible, Sendable {
    let dtype: DType
    let batch: Int32
    let channels: Int32
    let side: Int32
    let tolerance: Double
    var testDescription: String { "\(dtype) \(batch)x\(channels)x\(side)x\(side)" }
  }

  @Test(
    arguments: [
      Case(dtype: .bfloat16, batch: 3, channels: 16, side: 7, tolerance: 2e-2),
      Case(dtype: .float16, batch: 2, channels: 16, side: 28, tolerance: 3e-3),
      Case(dtype: .float32, batch: 2, channels: 12, side: 7, tolerance: 2e-5),
    ])
  func agree(_ sample: Case) {
    let names = ["output", "x", "projection", "weight", "bias", "A", "D"]
    for (which, name) in names.enumerated() {
      let error = cuda_launches_scan2d_error(
        Int32(which), sample.dtype.rawValue, sample.batch, sample.channels, sample.side, 6)
      let problem = error < 0 ? String(cString: cuda_launches_failure()) : "\(error)"
      #expect(error >= 0 && error <= sample.tolerance, "\(name): \(problem)")
    }
  }

  @Test("operators on maps", arguments: [(DType.bfloat16, 16, 9, 2e-2), (.float32, 6, 5, 2e-5)])
  func maps(_ dtype: DType, _ channels: Int32, _ side: Int32, _ tolerance: Double) {
    for which in 0..<Int32(11) {
      let error = cuda_launches_map_error(which, dtype.rawValue, 2, channels, side)
      let problem = error < 0 ? String(cString: cuda_launches_failure()) : "\(error)"
      #expect(error >= 0 && error <= tolerance, "\(dtype), value \(which): \(problem)")
    }
  }

  @Test(
    "the selective scan",
    arguments: [(DType.bfloat16, 40, 1, 16, 37, 1e-2), (.float32, 12, 2, 3, 19, 1e-5)])
  func selectiveScan(
    _ dtype: DType, _ channels: Int32, _ groups: Int32, _ states: Int32, _ length: Int32, _ tolerance: Double
  ) {
    for which in 0..<Int32(10) {
      let error = cuda_launches_selective_scan_error(
        which, dtype.rawValue, channels, groups, states, length)
      let problem = error < 0 ? String(cString: cuda_launches_failure()) : "\(error)"
      #expect(error >= 0 && error <= tolerance, "\(dtype), value \(which): \(problem)")
    }
  }
}
