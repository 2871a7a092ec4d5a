import Foundation
import TestSupport
import Testing
import Torch

@Suite struct OptimizerTests {
  private static let start = [[0.5, -1.25, 2], [3.0]]

  /// The gradients of step `t`, differing by parameter and element.
  private static func gradient(_ t: Int, _ parameter: Int, _ element: Int) -> Double {
    cos(Double(t * 7 + parameter * 3 + element)) * 0.5 + 0.1
  }

  private func makeParameters() -> [Tensor] { Self.start.map { Tensor($0).requiringGradient() } }

  private func setGradients(_ parameters: [Tensor], _ t: Int) {
    for (p, tensor) in parameters.enumerated() {
      tensor.gradient = Tensor((0..<tensor.count).map { Self.gradient(t, p, $0) })
    }
  }

  @Test(arguments: [0, 0.05]) func adamWIsItsFormula(_ decay: Double) {
    let parameters = makeParameters()
    let idle = Tensor([7.0]).requiringGradient()
    let optimizer = AdamW(
      [
        ParameterGroup([parameters[0], idle], weightDecay: decay),
        ParameterGroup([parameters[1]], weightDecay: 2 * decay),
      ], betas: (0.8, 0.95), epsilon: 1e-3)
    var expected = Self.start
    var (m, v) = (expected.map { $0.map { _ in 0.0 } }, expected.map { $0.map { _ in 0.0 } })
    for t in 1...3 {
      let rate = 0.1 / Double(t)
      setGradients(parameters, t)
      optimizer.step(learningRate: rate)
      for p in expected.indices {
        for i in expected[p].indices {
          let g = Self.gradient(t, p, i)
          expected[p][i] -= rate * (p == 0 ? decay : 2 * decay) * expected[p][i]
          m[p][i] = 0.8 * m[p][i] + 0.2 * g
          v[p][i] = 0.95 * v[p][i] + 0.05 * g * g
          let (mHat, vHat) = (m[p][i] / (1 - pow(0.8, Double(t))), v[p][i] / (1 - pow(0.95, Double(t))))
          expected[p][i] -= rate * mHat / (vHat.squareRoot() + 1e-3)
        }
        expectClose(parameters[p], expected[p], 1e-12, "parameter \(p) after step \(t)")
      }
    }
    expectEqual(idle, [7], [1])
    expectEqual(optimizer.state[1].step, [0], [])
    expectEqual(optimizer.state[2].step, [3], [])
    expectClose(optimizer.state[2].first, m[1], 1e-12)
    expectClose(optimizer.state[2].second, v[1], 1e-12)
  }

  @Test func aSkippedStepChangesNothing() {
    let parameters = makeParameters()
    let optimizer = AdamW([ParameterGroup(parameters, weightDecay: 0.1)])
    setGradients(parameters, 1)
    optimizer.step(learningRate: 0.1, unless: Tensor(Float(0)))
    let before = parameters.map { $0.array(Double.self) }
    let moments = optimizer.state.map { $0.first.array(Double.self) }
    parameters[0].gradient = Tensor([Double.infinity, 0, .nan])
    optimizer.step(learningRate: 0.1, unless: Tensor(Float(1)))
    #expect(parameters.map { $0.array(Double.self) } == before)
    #expect(optimizer.state.map { $0.first.array(Double.self) } == moments)
    expectEqual(optimizer.state[0].step, [1], [])
    // A step that is not skipped is the usual one.
    let usual = makeParameters()
    let other = AdamW([ParameterGroup(usual, weightDecay: 0.1)])
    setGradients(usual, 1)
    other.step(learningRate: 0.1)
    #expect(usual.map { $0.array(Double.self) } == before)
  }

  @Test(arguments: [(0.0, false), (0.9, false), (0.9, true)]) func sgdIsItsFormula(
    _ momentum: Double, _ nesterov: Bool
  ) {
    let parameters = makeParameters()
    let optimizer = SGD(
      [ParameterGroup(parameters, weightDecay: 0.05)], momentum: momentum, nesterov: nesterov)
    var expected = Self.start
    var buffers = expected.map { $0.map { _ in 0.0 } }
    for t in 1...3 {
      setGradients(parameters, t)
      if t == 2 { parameters[1].gradient = nil }
      optimizer.step(learningRate: 0.1)
      for p in expected.indices where !(t == 2 && p == 1) {
        for i in expected[p].indices {
          let g = Self.gradient(t, p, i) + 0.05 * expected[p][i]
          buffers[p][i] = momentum * buffers[p][i] + g
          expected[p][i] -= 0.1 * (nesterov ? g + momentum * buffers[p][i] : buffers[p][i])
        }
        expectClose(parameters[p], expected[p], 1e-12, "parameter \(p) after step \(t)")
      }
    }
  }

  @Test func aResumedOptimizerContinues() {
    let (whole, resumed) = (makeParameters(), makeParameters())
    let groups = { [ParameterGroup($0, weightDecay: 0.1)] }
    let (adam, first) = (AdamW(groups(whole)), AdamW(groups(resumed)))
    let (sgdWhole, sgdResumed) = (makeParameters(), makeParameters())
    let (sgd, sgdFirst) = (SGD(groups(sgdWhole)), SGD(groups(sgdResumed)))
    for t in 1...4 {
      for parameters in [whole, sgdWhole] { setGradients(parameters, t) }
      adam.step(learningRate: 0.1)
      sgd.step(learningRate: 0.1)
    }
    for t in 1...2 {
      for parameters in [resumed, sgdResumed] { setGradients(parameters, t) }
      first.step(learningRate: 0.1)
      sgdFirst.step(learningRate: 0.1)
    }
    let (second, sgdSecond) = (AdamW(groups(resumed)), SGD(groups(sgdResumed)))
    for (new, old) in zip(second.state, first.state) {
      new.first.copy(from: old.first)
      new.second.copy(from: old.second)
      new.step.copy(from: old.step)
    }
    for (new, old) in zip(sgdSecond.state, sgdFirst.state) { new.copy(from: old) }
    for t in 3...4 {
      for parameters in [resumed, sgdResumed] { setGradients(parameters, t) }
      second.step(learningRate: 0.1)
      sgdSecond.step(learningRate: 0.1)
    }
    for (a, b) in zip(resumed + sgdResumed, whole + sgdWhole) { expectClose(a, b, 0) }
  }

  @Test func clippingScalesAllGradientsAlike() throws {
    let parameters = makeParameters()
    parameters[0].gradient = Tensor([3.0, 0, 0])
    parameters[1].gradient = Tensor([4.0])
    expectClose(clipGradients(of: parameters, toNorm: 10), [5], 1e-15)
    expectEqual(try #require(parameters[1].gradient), [4], [1])
    let idle = Tensor([1.0]).requiringGradient()
    expectClose(clipGradients(of: parameters + [idle], toNorm: 1), [5], 1e-15)
    expectClose(try #require(parameters[0].gradient), [0.6, 0, 0], 1e-6)
    expectClose(try #require(parameters[1].gradient), [0.8], 1e-6)
    #expect(clipGradients(of: [idle], toNorm: 1).item() == 0)
  }
}
