import Backbones
import Foundation
import TestSupport
import Testing
import Torch
import Verification

/// A verification that cannot fail is worth nothing: each kind of error must be seen.
@Suite(.serialized) struct DetectionTests {
  /// The results of a changed copy of the shipped reference, for the contract and one case.
  private func results(
    _ id: String, dtype: DType = .float32, _ change: (inout [String: Any]) throws -> Void
  ) throws -> [CaseResult] {
    var members = try ShippedReferences.members("sparx_mamba_t")
    try change(&members)
    return try inScratchFolder { folder in
      let url = folder.appending(path: "changed.json")
      try JSONSerialization.data(withJSONObject: members).write(to: url)
      let verifier = try ModelVerifier(Reference(contentsOf: url), path: "changed.json", dtype: dtype)
      return Verification([verifier], only: [id]).run().results
    }
  }

  /// Changes the member of one case.
  private func change(_ members: inout [String: Any], _ id: String, _ edit: (inout [String: Any]) -> Void) {
    guard var cases = members["cases"] as? [[String: Any]],
      let index = cases.firstIndex(where: { $0["id"] as? String == id })
    else { return }
    edit(&cases[index])
    members["cases"] = cases
  }

  @Test func aLogitOffByOneInTenThousand() throws {
    let results = try results("eval_192x256") { members in
      change(&members, "eval_192x256") { item in
        guard var logits = item["logits"] as? [Double] else { return }
        logits[517] += 1e-4 * 2.53
        item["logits"] = logits
      }
    }
    #expect(results.map(\.passed) == [true, false])
    let failure = try #require(results.last?.failures.first)
    #expect(failure.name == "logits" && failure.index == 517)
    #expect((0.9e-4...1.1e-4).contains(failure.error) && failure.tolerance == 2e-5)
    #expect(results.last?.failures.count == 1)
  }

  @Test func otherWeights() throws {
    let results = try results("eval_192x256") { members in
      change(&members, "eval_192x256") { $0["fill_prefix"] = "other/" }
    }
    #expect(results.map(\.passed) == [true, false])
    #expect(results.last?.failures.count == results.last?.checks)
  }

  @Test func aGradientThatIsMissingAndOneThatIsTooMuch() throws {
    let key = "layers.2.blocks.6.op.A_logs"
    let results = try results("grad_64_batch2") { members in
      change(&members, "grad_64_batch2") { item in
        guard var list = item["params"] as? [[String: Any]] else { return }
        for index in list.indices where list[index]["key"] as? String == key {
          list[index] = ["key": key, "norm": NSNull(), "first8": NSNull()]
        }
        list.removeAll { $0["key"] as? String == "classifier.3.bias" }
        item["params"] = list
      }
    }
    let result = try #require(results.last)
    #expect(!result.passed)
    #expect(result.failures.map(\.name) == ["\(key) norm"])
    #expect(result.problems == ["classifier.3.bias: the reference lists no gradient of this parameter"])
  }

  @Test func everyDifferenceOfTheKeysAtOnce() throws {
    let results = try results("eval_192x256") { members in
      guard var state = members["state"] as? [[String: Any]] else { return }
      state[0]["shape"] = [48, 3, 3, 2]
      state[1]["key"] = "patch_embed.1.gamma"
      state[2]["kind"] = "buffer"
      state[5]["dtype"] = "float32"
      members["state"] = state
      members["parameters"] = 27_051_793
    }
    let contract = try #require(results.first)
    #expect(
      Set(contract.problems) == [
        "patch_embed.0.weight: expected shape [48, 3, 3, 2], got [48, 3, 3, 3]",
        "patch_embed.1.gamma: the model lacks this tensor",
        "patch_embed.1.bias: expected a buffer, got a parameter",
        "patch_embed.1.num_batches_tracked: expected elements of float32, got int64",
        "patch_embed.1.weight: the reference lacks this tensor",
      ])
    #expect(contract.failures.map(\.name) == ["parameters"])
    #expect(results.last?.passed == false && results.last?.checks == 0)
    #expect(results.last?.problems.first?.contains("not run") == true)
  }

  @Test func multiplyAddsAreExact() throws {
    let results = try results("none") { members in
      guard var flops = members["flops"] as? [String: Any] else { return }
      flops["total"] = 5_253_995_647
      members["flops"] = flops
    }
    #expect(results.map(\.passed) == [false])
    #expect(results.first?.failures.map(\.name) == ["multiply-adds"])
  }

  @Test func anImageTooSmallForTheModelIsAProblemOfItsCase() throws {
    let results = try results("eval_192x256") { members in
      change(&members, "eval_192x256") { $0["input_shape"] = [1, 3, 16, 16] }
    }
    #expect(results.last?.passed == false)
    #expect(results.last?.problems.last?.contains("at least 32 by 32") == true, "\(results)")
  }

  @Test func anInterruptionLeavesTheRestOut() throws {
    let verifier = try ModelVerifier(ShippedReferences.read("sparx_mamba_t"), path: "t")
    var isInterrupted = false
    let summary = Verification([verifier, verifier], isInterrupted: { isInterrupted }).run { event in
      if case .result = event { isInterrupted = true }
    }
    #expect(summary.results.map(\.id) == ["contract"])
    #expect(summary.isInterrupted && !summary.passed)
  }
}
