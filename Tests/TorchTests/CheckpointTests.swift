import TestSupport
import Testing
import Torch

@Suite struct CheckpointTests {
  private let x = Tensor.filled([5, 4], key: "x", dtype: .float64)

  private func weights() -> [Tensor] {
    [[6, 4], [6], [3, 6]].enumerated().map {
      Tensor.filled($0.element, key: "w\($0.offset)", dtype: .float64).requiringGradient()
    }
  }

  private static func network(_ x: Tensor, _ w: [Tensor]) -> Tensor {
    x.linear(w[0], bias: w[1]).silu().linear(w[2])
  }

  @Test func gradientsAreThoseOfThePlainComputation() throws {
    let w = weights()
    let input = x.clone().requiringGradient()
    let plain = gradients(of: [Self.network(input, w).sin().sum()], withRespectTo: [input] + w)
    let outputs = checkpoint([input], parameters: w) { [Self.network($0[0], w), $0[0].exp()] }
    expectClose(outputs[0], Self.network(x, w), 0)
    let kept = gradients(of: [outputs[0].sin().sum()], withRespectTo: [input] + w)
    for (a, b) in zip(kept, plain) { expectClose(try #require(a), try #require(b), 1e-15) }
  }

  @Test func parametersGatherTheirGradients() throws {
    let (plain, kept) = (weights(), weights())
    Self.network(x, plain).sum().backward()
    checkpoint([x], parameters: kept) { [Self.network($0[0], kept)] }[0].sum().backward()
    for (a, b) in zip(kept, plain) { expectClose(try #require(a.gradient), try #require(b.gradient), 1e-15) }
  }

  @Test func inputsAndParametersThatNeedNoGradientGetNone() throws {
    let w = weights()
    w[1].requiringGradient(false)
    let y = checkpoint([x, Tensor([1, 2])], parameters: w) { [Self.network($0[0], w)] }
    y[0].sum().backward()
    #expect(x.gradient.isNone && w[1].gradient.isNone)
    #expect(!w[0].gradient.isNone)
    let none = checkpoint([x], parameters: []) { [$0[0].exp()] }
    #expect(!none[0].requiresGradient)
  }

  @Test func nestedCheckpointsAgree() throws {
    let w = weights()
    let input = x.clone().requiringGradient()
    let calls = Box(0)
    let y = checkpoint([input], parameters: w) { outer in
      let hidden = checkpoint([outer[0]], parameters: Array(w[..<2])) { inner in
        calls.value += 1
        return [inner[0].linear(w[0], bias: w[1]).silu()]
      }
      return [hidden[0].linear(w[2])]
    }
    #expect(calls.value == 1)
    let kept = gradients(of: [y[0].sum()], withRespectTo: [input] + w)
    #expect(calls.value == 3)
    let plain = gradients(of: [Self.network(input, w).sum()], withRespectTo: [input] + w)
    for (a, b) in zip(kept, plain) { expectClose(try #require(a), try #require(b), 1e-15) }
  }

  @Test func onlyTheSecondComputationIsARecomputation() {
    let input = x.clone().requiringGradient()
    let seen = Box<[Bool]>([])
    let y = checkpoint([input], parameters: []) { inputs in
      seen.value.append(Recomputation.isActive)
      return [inputs[0].exp()]
    }
    #expect(!Recomputation.isActive)
    y[0].sum().backward()
    #expect(seen.value == [false, true])
    #expect(!Recomputation.isActive)
  }

  @Test func withoutRecordingTheBodyRunsOnce() {
    let calls = Box(0)
    let y = withoutGradients {
      checkpoint([x.clone().requiringGradient()], parameters: []) { inputs in
        calls.value += 1
        return [inputs[0].exp()]
      }
    }
    #expect(calls.value == 1 && !y[0].requiresGradient)
  }

  @Test(arguments: [false, true]) func recomputationSeesTheSameCasts(_ isBackwardInside: Bool) throws {
    let w = weights().map { $0.detached().to(.float32).requiringGradient() }
    let input = x.to(.float32)
    let dtypes = Box<[DType]>([])
    func loss() -> Tensor {
      checkpoint([input], parameters: w) { inputs in
        let y = Self.network(inputs[0], w)
        dtypes.value.append(y.dtype)
        return [y]
      }[0].to(.float32).sum()
    }
    if isBackwardInside {
      withAutocast(.bfloat16, on: .cpu) { loss().backward() }
    } else {
      withAutocast(.bfloat16, on: .cpu) { loss() }.backward()
    }
    #expect(dtypes.value == [.bfloat16, .bfloat16])
    let plain = weights().map { $0.detached().to(.float32).requiringGradient() }
    withAutocast(.bfloat16, on: .cpu) { Self.network(input, plain).to(.float32).sum() }.backward()
    for (a, b) in zip(w, plain) { expectClose(try #require(a.gradient), try #require(b.gradient), 0) }
  }

  @Test func errorsOfTheRecomputationReachTheCaller() {
    let input = x.clone().requiringGradient()
    let calls = Box(0)
    let y = checkpoint([input], parameters: []) { inputs in
      calls.value += 1
      return [calls.value == 1 ? inputs[0].exp() : inputs[0] + Tensor([1.0, 2])]
    }
    let error = #expect(throws: TorchError.self) { try withTorchErrors { y[0].sum().backward() } }
    #expect(error?.message.contains("checkpoint: add.Tensor([5, 4] float64, [2] float64)") == true)
  }
}

extension Tensor? {
  var isNone: Bool { if case .none = self { true } else { false } }
}
