import Backbones
import Foundation
import Testing
import Torch
import Verification

/// Fast training runs only in double precision: in single precision they amplify how each processor rounds.
@Suite(.serialized) struct PublishedModelTests {
  private func expectPassed(_ result: CaseResult, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(
      result.passed, "\(result.model) \(result.id): \(result.problems) \(result.failures)",
      sourceLocation: sourceLocation)
  }

  /// Keys, shapes, kinds, parameters and multiply-adds of every published variant.
  @Test(arguments: [
    "sparx_mamba_t", "sparx_mamba_s", "sparx_mamba_b", "transxnet_t", "transxnet_s", "transxnet_b",
  ]) func contract(_ name: String) throws {
    let result = try ModelVerifier(ShippedReferences.read(name), path: name).checkContract()
    expectPassed(result)
    #expect(result.checks == 2)
  }

  @Test(arguments: [
    "eval_224", "eval_192x256", "grad_224", "grad_64_batch2", "train_64_lr1e-5", "dense_160x224",
  ])
  func tinyInSinglePrecision(_ id: String) throws {
    let verifier = try ModelVerifier(ShippedReferences.read("sparx_mamba_t"), path: "sparx_mamba_t.json")
    let item = try #require(verifier.reference.cases.first { $0.id == id })
    expectPassed(verifier.run(item))
  }

  @Test(arguments: ["eval_192x256", "grad_64_batch2", "train_64", "dense_160x224"])
  func tinyInDoublePrecision(_ id: String) throws {
    let verifier = try ModelVerifier(
      ShippedReferences.read("sparx_mamba_t"), path: "sparx_mamba_t.json", dtype: .float64)
    let item = try #require(verifier.reference.cases.first { $0.id == id })
    expectPassed(verifier.run(item))
  }

  @Test(arguments: [
    ("eval_192x256", DType.float32), ("grad_64_batch2", .float32), ("dense_160x224", .float32),
    ("train_64", .float64),
  ])
  func transXNet(_ id: String, _ dtype: DType) throws {
    let verifier = try ModelVerifier(
      ShippedReferences.read("transxnet_t"), path: "transxnet_t.json", dtype: dtype)
    let item = try #require(verifier.reference.cases.first { $0.id == id })
    expectPassed(verifier.run(item))
  }

  @Test func everyCaseIsTested() throws {
    #expect(try ShippedReferences.read("sparx_mamba_t").cases.count == 7)
    #expect(try ShippedReferences.read("transxnet_t").cases.count == 4)
  }
}
