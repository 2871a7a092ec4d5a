import TestSupport
import Testing
import Torch

@Suite struct AutogradTests {
  @Test func leavesGatherGradients() {
    let x = Tensor([1.0, 2]).requiringGradient()
    #expect(x.requiresGradient && x.isLeaf && x.gradient == nil)
    (x * x).sum().backward()
    expectEqual(x.gradient ?? x, [2, 4], [2])
    (x * 3).sum().backward()
    expectEqual(x.gradient ?? x, [5, 7], [2])
    x.gradient = nil
    #expect(x.gradient == nil)
    (x * x).backward(Tensor([1.0, 10]))
    expectEqual(x.gradient ?? x, [2, 40], [2])
  }

  @Test func aGradientFitsItsTensor() {
    let x = Tensor([1.0, 2]).requiringGradient()
    x.gradient = Tensor([3.0, 4])
    expectEqual(x.gradient ?? x, [3, 4], [2])
    for wrong in [Tensor([1.0]), Tensor([Float(1), 2])] {
      #expect(throws: TorchError.self) { try withTorchErrors { x.gradient = wrong } }
    }
  }

  @Test func recordingIsTurnedOffAndOn() throws {
    let x = Tensor([1.0]).requiringGradient()
    #expect(recordsGradients)
    withoutGradients {
      #expect(!recordsGradients && !(x * 2).requiresGradient)
      withGradients { #expect((x * 2).requiresGradient) }
      #expect(!recordsGradients)
    }
    #expect((x * 2).requiresGradient && !(x * 2).detached().requiresGradient)
    struct Stop: Error {}
    #expect(throws: Stop.self) { try withoutGradients { throw Stop() } }
    #expect(recordsGradients)
  }

  @Test func gradientsOfTensorsLeaveTheLeavesAlone() throws {
    let (x, y, unused) = (
      Tensor([1.0, 2]).requiringGradient(), Tensor([3.0, 4]).requiringGradient(),
      Tensor([5.0]).requiringGradient()
    )
    let found = gradients(of: [(x * y).sum()], withRespectTo: [y, unused, x])
    expectEqual(try #require(found[0]), [1, 2], [2])
    #expect(found[1] == nil)
    expectEqual(try #require(found[2]), [3, 4], [2])
    #expect(x.gradient == nil && y.gradient == nil)
    let seeded = gradients(
      of: [x * 2, y * 3], withRespectTo: [x, y], seeds: [Tensor([1.0, 10]), Tensor([1.0, 1])])
    expectEqual(try #require(seeded[0]), [2, 20], [2])
    expectEqual(try #require(seeded[1]), [3, 3], [2])
  }

  @Test func secondDerivatives() throws {
    let x = Tensor([2.0]).requiringGradient()
    let first = try #require(gradients(of: [x.pow(3).sum()], withRespectTo: [x], createGraph: true)[0])
    expectClose(first, [12], 1e-15)
    let second = try #require(gradients(of: [first], withRespectTo: [x])[0])
    expectClose(second, [12], 1e-15)
  }

  @Test func aGraphIsUsedOnceUnlessRetained() {
    let x = Tensor([2.0]).requiringGradient()
    let y = x.exp()
    y.backward(retainGraph: true)
    y.backward()
    let error = #expect(throws: TorchError.self) { try withTorchErrors { y.backward() } }
    #expect(error?.message.contains("second time") == true)
  }

  @Test func recordedLeavesAreNotChangedInPlace() {
    let x = Tensor([2.0]).requiringGradient()
    #expect(throws: TorchError.self) { try withTorchErrors { x.add(Tensor([1.0])) } }
    withoutGradients { x.add(Tensor([1.0])) }
    expectEqual(x, [3], [1])
  }
}
