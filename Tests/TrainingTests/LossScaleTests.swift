import Foundation
import TestSupport
import Testing
import Torch
import Training

@Suite struct LossScaleTests {
  @Test func itDoublesAfterSteadyStepsAndHalvesWithAnOverflow() {
    var scale = LossScale()
    #expect(scale.factor == 65_536)
    for _ in 1..<LossScale.interval { #expect(scale.update(overflowed: false)) }
    #expect(scale.factor == 65_536)
    #expect(scale.update(overflowed: false))
    #expect(scale.factor == 131_072 && scale.steadySteps == 0)
    for _ in 0..<5 { #expect(scale.update(overflowed: false)) }
    #expect(scale.update(overflowed: true))
    #expect(scale.factor == 65_536 && scale.steadySteps == 0)
  }

  @Test func aSmallestScaleCannotHelp() {
    var scale = LossScale()
    for _ in 0..<16 { #expect(scale.update(overflowed: true)) }
    #expect(scale.factor == LossScale.smallest)
    #expect(!scale.update(overflowed: true))
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
    var progress = Progress()
    #expect(try JSONDecoder().decode(Progress.self, from: Data(oldProgress.utf8)).lossScale == nil)
    var scale = LossScale()
    _ = scale.update(overflowed: true)
    _ = scale.update(overflowed: false)
    progress.lossScale = scale
    let data = try JSONEncoder().encode(progress)
    #expect(try JSONDecoder().decode(Progress.self, from: data).lossScale == scale)
  }

  private let oldProgress = #"{"step": 3, "epoch": 0, "batch": 3, "lossSum": 1.5}"#
}
