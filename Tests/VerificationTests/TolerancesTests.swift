import Foundation
import TestSupport
import Testing
import Torch

@testable import Verification

@Suite struct TolerancesTests {
  /// A shipped training run with another last loss in both precisions.
  private func train(_ last: Double, float32 drifted: Double) throws -> Reference.Train {
    var members = try ShippedReferences.members("sparx_mamba_t")
    let cases = try #require(members["cases"] as? [[String: Any]])
    var item = try #require(cases.first { $0["kind"] as? String == "train" })
    for (key, value) in [("losses", last), ("losses_float32_reference", drifted)] {
      let losses = try #require(item[key] as? [Double])
      item[key] = Array(losses.dropLast()) + [value]
    }
    members["cases"] = [item]
    return try inScratchFolder { folder in
      let url = folder.appending(path: "changed.json")
      try JSONSerialization.data(withJSONObject: members).write(to: url)
      guard case .train(let train) = try #require(Reference(contentsOf: url).cases.first).content else {
        throw CocoaError(.coderReadCorrupt)
      }
      return train
    }
  }

  /// What training leaves behind may drift as far as the official code does, but never so far that anything passes.
  @Test(arguments: [(0.5, 0.5, 2e-3), (0.5, 0.525, 0.05), (0.5, 0.475, 0.05), (0.5, 5, 0.1), (0, 1, 2e-3)])
  func trainedFollowsTheOfficialDrift(_ last: Double, _ drifted: Double, _ expected: Double) throws {
    let train = try train(last, float32: drifted)
    #expect(abs(Tolerances(.float32).trained(train) - expected) < 1e-9)
    #expect(Tolerances(.float64).trained(train) == 1e-7)
  }
}
