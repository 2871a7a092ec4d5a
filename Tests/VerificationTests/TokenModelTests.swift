import Backbones
import Foundation
import Testing
import Torch
import Verification

/// Vision Mamba and DeiT against their official code.
@Suite(.serialized) struct TokenModelTests {
  private func expectPassed(_ result: CaseResult, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(
      result.passed, "\(result.model) \(result.id): \(result.problems) \(result.failures)",
      sourceLocation: sourceLocation)
  }

  @Test(arguments: [
    "vim_tiny", "vim_small", "vim_base", "vim_tiny_doublecls", "vim_tiny_headcls", "vim_tiny_lasttoken",
    "vim_tiny_maxpool", "vim_tiny_meanpool", "vim_tiny_nodiv", "vim_tiny_unidirectional", "deit_tiny",
    "deit_small", "deit_base",
  ])
  func contract(_ name: String) throws {
    // Without elements: large models are counted at once.
    let result = try ModelVerifier(ShippedReferences.read(name), path: name, device: .meta).checkContract()
    expectPassed(result)
    #expect(result.checks == 2)
  }

  private func run(_ name: String, _ id: String, _ dtype: DType, isPrepared: Bool = false) throws {
    let verifier = try ModelVerifier(
      ShippedReferences.read(name), path: name, dtype: dtype, isPrepared: isPrepared)
    expectPassed(verifier.run(try #require(verifier.reference.cases.first { $0.id == id })))
  }

  @Test(arguments: [
    ("vim_tiny", "eval_224"), ("vim_tiny", "grad_224"), ("deit_tiny", "eval_224"),
    ("deit_tiny", "eval_200x250"), ("deit_tiny", "grad_224"),
  ])
  func tinyInSinglePrecision(_ name: String, _ id: String) throws { try run(name, id, .float32) }

  @Test(arguments: [
    ("vim_tiny", "eval_224"), ("vim_tiny", "train_64"), ("deit_tiny", "eval_200x250"),
    ("deit_tiny", "grad_224"),
    ("deit_tiny", "train_64"),
  ])
  func tinyInDoublePrecision(_ name: String, _ id: String) throws { try run(name, id, .float64) }

  @Test(arguments: [("vim_tiny", "eval_224"), ("deit_tiny", "eval_200x250")])
  func tinyPrepared(_ name: String, _ id: String) throws { try run(name, id, .float32, isPrepared: true) }

  @Test func everyCaseIsTested() throws {
    #expect(try ShippedReferences.read("vim_tiny").cases.count == 3)
    #expect(try ShippedReferences.read("deit_tiny").cases.count == 4)
  }
}
