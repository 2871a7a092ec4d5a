import Backbones
import Foundation
import Testing
import Torch
import Verification

/// MambaOut, ConvNeXt and ResNet against their official code.
@Suite(.serialized) struct ConvolutionalModelTests {
  private func expectPassed(_ result: CaseResult, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(
      result.passed, "\(result.model) \(result.id): \(result.problems) \(result.failures)",
      sourceLocation: sourceLocation)
  }

  @Test(arguments: [
    "mambaout_femto", "mambaout_kobe", "mambaout_tiny", "mambaout_small", "mambaout_base", "convnext_tiny",
    "convnext_small", "convnext_base", "resnet50",
  ])
  func contract(_ name: String) throws {
    // Keys, shapes and counts need no elements.
    let result = try ModelVerifier(ShippedReferences.read(name), path: name, device: .meta).checkContract()
    expectPassed(result)
    #expect(result.checks == 2)
  }

  @Test(
    arguments: [
      ("mambaout_femto", "eval_192x256"), ("mambaout_femto", "grad_64_batch2"),
      ("convnext_tiny", "eval_192x256"), ("resnet50", "eval_192x256"),
    ], [false, true])
  func singlePrecision(_ place: (name: String, id: String), _ isPrepared: Bool) throws {
    // Only outputs have a prepared form.
    if isPrepared && !place.id.hasPrefix("eval") { return }
    let verifier = try ModelVerifier(
      ShippedReferences.read(place.name), path: place.name, isPrepared: isPrepared)
    expectPassed(verifier.run(try #require(verifier.reference.cases.first { $0.id == place.id })))
  }

  @Test(arguments: ["grad_64_batch2", "train_64"])
  func doublePrecision(_ id: String) throws {
    let name = "mambaout_femto"
    let verifier = try ModelVerifier(ShippedReferences.read(name), path: name, dtype: .float64)
    expectPassed(verifier.run(try #require(verifier.reference.cases.first { $0.id == id })))
  }
}
