import Foundation
import Testing
import Torch
import Verification

/// A kernel that computes what it is told to.
private struct Claim: KernelCheck {
  let kernel = "claim"
  let detail: String
  let dtype = DType.float32
  var truthKey: String { detail }
  let expected: [Double]
  let given: [[Double]]

  func truth() -> [KernelOutput] { [KernelOutput("output", Tensor(expected))] }

  /// The lists in turn, one for each run.
  func computed(on device: Device) -> [KernelOutput] {
    defer { Self.runs += 1 }
    return [KernelOutput("output", Tensor(given[Self.runs % given.count]))]
  }

  nonisolated(unsafe) static var runs = 0
}

// Memory that is filled with NaN is a setting of the process, so each run has a process of its own.
@Suite struct KernelVerificationTests {
  @Test func kernelsOfTheProcessorAgreeWithTheirDefinitions() async {
    await #expect(processExitsWith: .success) {
      var lines: [String] = []
      let summary = KernelVerification(KernelChecks.few()).run { result in
        if !result.passed { lines.append(VerificationText.line(.result(result))) }
      }
      if !summary.passed { fatalError(lines.joined(separator: "\n")) }
      precondition(summary.dtype == "float64, float32, float16, bfloat16")
      precondition(Set(summary.results.map(\.model)) == ["scan2d", "selective_scan"])
      // One output and six gradients; two outputs and eight gradients.
      precondition(Set(summary.results.map(\.checks)) == [7, 10])
      precondition(!Engine.isDeterministic)
    }
  }

  @Test func whatDiffersIsFound() async {
    await #expect(processExitsWith: .success) {
      func result(_ given: [[Double]]) -> CaseResult {
        let claim = Claim(detail: "\(given)", expected: [1, -4], given: given)
        return KernelVerification([claim]).run().results[0]
      }
      precondition(result([[1, -4]]).passed)
      precondition(result([[1, -4.00004]]).passed)
      let far = result([[1, -4.001]])
      precondition(!far.passed && far.failures.first?.index == 1)
      precondition(abs((far.failures.first?.error ?? 0) - 0.00025) < 1e-9)
      precondition(!result([[.nan, -4]]).passed)
      precondition(!result([[1, -4, 0]]).passed)
      Claim.runs = 0
      let unsteady = result([[1, -4], [1, -4.000001]])
      precondition(!unsteady.passed && unsteady.problems == ["output: two runs on the same operands differ"])
    }
  }

  @Test func casesAreNamedOnceEach() {
    for device in [Device.cpu, .cuda(0)] {
      let ids = KernelChecks.all(on: device).map(\.id)
      #expect(Set(ids).count == ids.count)
      #expect(
        ids.contains("scan2d/128x312/n16/c8/bfloat16/channels_last"),
        "\(ids.filter { $0.contains("128x312") })")
    }
  }
}
