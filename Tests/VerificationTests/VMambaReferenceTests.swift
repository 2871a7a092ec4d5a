import Backbones
import Foundation
import Testing
import Torch
import Verification

/// VMamba against its official code.
@Suite(.serialized) struct VMambaReferenceTests {
  private func expectPassed(_ result: CaseResult, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(
      result.passed, "\(result.model) \(result.id): \(result.problems) \(result.failures)",
      sourceLocation: sourceLocation)
  }

  @Test(arguments: [
    "vmamba_tiny_s1l8", "vmamba_tiny_s2l5", "vmamba_small_s2l15", "vmamba_small_s1l20", "vmamba_base_s2l15",
    "vmamba_base_s1l20", "vanilla_vmamba_tiny",
  ])
  func contract(_ name: String) throws {
    let result = try ModelVerifier(ShippedReferences.read(name), path: name).checkContract()
    expectPassed(result)
    #expect(result.checks == 2)
  }

  @Test(arguments: [
    ("vmamba_tiny_s1l8", "eval_192x256"), ("vmamba_tiny_s1l8", "grad_64_batch2"),
    ("vmamba_tiny_s1l8", "train_64_lr1e-5"), ("vmamba_tiny_s1l8", "dense_160x224"),
    ("vanilla_vmamba_tiny", "eval_192x256"),
  ])
  func singlePrecision(_ name: String, _ id: String) throws {
    let verifier = try ModelVerifier(ShippedReferences.read(name), path: name)
    expectPassed(verifier.run(try #require(verifier.reference.cases.first { $0.id == id })))
  }

  @Test(arguments: [("vmamba_tiny_s1l8", "dense_160x224"), ("vanilla_vmamba_tiny", "eval_192x256")])
  func prepared(_ name: String, _ id: String) throws {
    let verifier = try ModelVerifier(ShippedReferences.read(name), path: name, isPrepared: true)
    expectPassed(verifier.run(try #require(verifier.reference.cases.first { $0.id == id })))
  }

  @Test func doublePrecision() throws {
    let name = "vmamba_tiny_s1l8"
    let verifier = try ModelVerifier(ShippedReferences.read(name), path: name, dtype: .float64)
    expectPassed(verifier.run(try #require(verifier.reference.cases.first { $0.id == "grad_64_batch2" })))
  }
}
