import Foundation
import TestSupport
import Testing
import Torch

@testable import Training

@Suite struct LossScaleTests {
  /// Whether a smaller factor can help after each of these steps.
  private func update(_ scale: inout LossScale, _ overflows: [Bool]) -> [Bool] {
    overflows.map { scale.update(overflowed: $0) }
  }

  @Test func itDoublesAfterSteadyStepsAndHalvesWithAnOverflow() {
    var scale = LossScale()
    #expect(scale.factor == 65_536)
    let steady = Array(repeating: false, count: LossScale.interval)
    let first = update(&scale, Array(steady.dropLast()))
    #expect(first.allSatisfy(\.self) && scale.factor == 65_536)
    _ = update(&scale, [false])
    #expect(scale.factor == 131_072 && scale.steadySteps == 0)
    let helped = update(&scale, [false, false, true])
    #expect(helped == [true, true, true])
    #expect(scale.factor == 65_536 && scale.steadySteps == 0)
  }

  @Test func aSmallestScaleCannotHelp() {
    var scale = LossScale()
    let helped = update(&scale, Array(repeating: true, count: 17))
    #expect(helped == Array(repeating: true, count: 16) + [false])
    #expect(scale.factor == LossScale.smallest)
  }

  @Test func gradientsAreThoseOfTheLoss() throws {
    let x = Tensor([1.0, -2]).requiringGradient()
    let scale = LossScale()
    scale.scaled((x * x).sum()).backward()
    expectEqual(try #require(x.gradient), [131_072, -262_144], [2])
    scale.unscaleGradients(of: [x])
    expectEqual(try #require(x.gradient), [2, -4], [2])
  }

  @Test func itIsKeptInACheckpoint() throws {
    var progress = Training.Progress()
    #expect(try JSONDecoder().decode(Training.Progress.self, from: Data(oldProgress.utf8)).lossScale == nil)
    var scale = LossScale()
    _ = scale.update(overflowed: true)
    _ = scale.update(overflowed: false)
    progress.lossScale = scale
    let data = try JSONEncoder().encode(progress)
    #expect(try JSONDecoder().decode(Training.Progress.self, from: data).lossScale == scale)
  }

  private let oldProgress = #"{"step": 3, "epoch": 0, "batch": 3, "lossSum": 1.5}"#
}
