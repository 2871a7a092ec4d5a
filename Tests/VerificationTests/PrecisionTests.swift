import Testing
import Torch
import Verification

@Suite struct PrecisionTests {
  /// The type that rounds more coarsely is further from the truth, and neither is far.
  @Test func halfWidthTypesAreNearTheTruth() throws {
    let name = "vim_tiny"
    let reference = try ShippedReferences.read(name)
    let results = try [.bfloat16, .float16].map { dtype in
      try #require(try PrecisionComparison(reference, path: name, dtype: dtype, imageCount: 2).run())
    }
    for result in results {
      #expect(result.passed && result.prepared == nil && result.images == 2)
      #expect(result.plain.largest >= result.plain.rms && result.plain.largest < 0.1, "\(result.text)")
    }
    #expect(results[0].plain.rms > 2 * results[1].plain.rms)
    #expect(results[1].plain.rms > 1e-6)
  }

  @Test func whatWasStoppedHasNoResult() throws {
    let comparison = try PrecisionComparison(
      ShippedReferences.read("vim_tiny"), path: "vim_tiny", dtype: .float16)
    #expect(try comparison.run { false } == nil)
  }
}
