import Backbones
import Foundation
import Testing
import Torch
import Verification

/// Swin and MambaVision against their official code.
@Suite(.serialized) struct WindowedModelTests {
  private func expectPassed(_ result: CaseResult, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(
      result.passed, "\(result.model) \(result.id): \(result.problems) \(result.failures)",
      sourceLocation: sourceLocation)
  }

  /// Without elements: the largest has a quarter of a billion parameters.
  @Test(arguments: [
    "swin_tiny", "swin_small", "swin_base", "mamba_vision_T", "mamba_vision_T2", "mamba_vision_S",
    "mamba_vision_B", "mamba_vision_L", "mamba_vision_L2",
  ])
  func contract(_ name: String) throws {
    let result = try ModelVerifier(ShippedReferences.read(name), path: name, device: .meta).checkContract()
    expectPassed(result)
    #expect(result.checks == 2)
  }

  @Test(
    arguments: [
      ("swin_tiny", "eval_224"), ("swin_tiny", "backbone_256x320"), ("swin_tiny", "grad_224"),
      ("mamba_vision_T", "eval_192x256"), ("mamba_vision_T", "grad_64_batch2"),
    ], [false, true])
  func singlePrecision(_ place: (name: String, id: String), _ isPrepared: Bool) throws {
    // Only outputs have a prepared form.
    if isPrepared && place.id.hasPrefix("grad") { return }
    let verifier = try ModelVerifier(
      ShippedReferences.read(place.name), path: place.name, isPrepared: isPrepared)
    expectPassed(verifier.run(try #require(verifier.reference.cases.first { $0.id == place.id })))
  }

  @Test(arguments: [("swin_tiny", "backbone_224"), ("mamba_vision_T", "grad_64_batch2")])
  func doublePrecision(_ place: (name: String, id: String)) throws {
    let verifier = try ModelVerifier(ShippedReferences.read(place.name), path: place.name, dtype: .float64)
    expectPassed(verifier.run(try #require(verifier.reference.cases.first { $0.id == place.id })))
  }
}
