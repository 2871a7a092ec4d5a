import TestSupport
import Testing
import Torch

@Suite struct CustomFunctionTests {
  /// (a b, a + b), with a derivative of its own.
  private func productAndSum(_ a: Tensor, _ b: Tensor) -> [Tensor] {
    customFunction("product and sum", of: [a, b]) {
      [$0[0] * $0[1], $0[0] + $0[1]]
    } backward: { outgoing in
      let zero = a.zerosLike()
      let (p, s) = (outgoing[0] ?? zero, outgoing[1] ?? zero)
      return [p * b.detached() + s, p * a.detached() + s]
    }
  }

  private let a = Tensor.filled([2, 3], key: "a", dtype: .float64)
  private let b = Tensor.filled([2, 3], key: "b", dtype: .float64)

  @Test func severalInputsAndOutputs() {
    gradientCheck("product and sum", [a, b]) { productAndSum($0[0], $0[1]) }
    gradientCheck("first output", [a, b]) { productAndSum($0[0], $0[1])[0] }
    gradientCheck("second output", [a, b]) { productAndSum($0[0], $0[1])[1] }
  }

  @Test func outputsThatReachNothingComeAsNil() {
    let x = Tensor([1.0]).requiringGradient()
    let reached = Box<[Bool]>([])
    let outputs = customFunction("two", of: [x]) {
      [$0[0] * 2, $0[0] * 3]
    } backward: { outgoing in
      reached.value = outgoing.map { $0 != nil }
      return [outgoing[1].map { $0 * 3 }]
    }
    outputs[1].backward()
    #expect(reached.value == [false, true])
    expectEqual(x.gradient ?? x, [3], [1])
  }

  @Test func nothingInForwardIsRecorded() {
    let x = Tensor([1.0]).requiringGradient()
    let outputs = customFunction("f", of: [x]) { inputs in
      #expect(!recordsGradients)
      return [inputs[0].exp()]
    } backward: {
      $0
    }
    #expect(outputs[0].requiresGradient && !outputs[0].isLeaf)
    outputs[0].backward()
    expectEqual(x.gradient ?? x, [1], [1])
  }

  @Test func withoutInputsThatRequireGradientsNothingIsKept() {
    let outputs = customFunction("f", of: [Tensor([1.0])]) {
      $0
    } backward: {
      $0
    }
    #expect(!outputs[0].requiresGradient)
    let x = Tensor([1.0]).requiringGradient()
    let silent = withoutGradients {
      customFunction("f", of: [x]) {
        [$0[0] * 2]
      } backward: {
        $0
      }
    }
    #expect(!silent[0].requiresGradient)
  }

  @Test func integersAmongTheOutputsHaveNoDerivative() {
    let x = Tensor([3.0, 1, 2]).requiringGradient()
    let outputs = customFunction("order", of: [x]) { inputs in
      let sorted = inputs[0].sorted(along: 0)
      return [sorted.indices, sorted.values * 2]
    } backward: { outgoing in
      #expect(outgoing.count == 2)
      return [outgoing[1].map { ($0 * 2).indexSelect(0, Tensor([2, 0, 1])) }]
    }
    #expect(outputs[0].dtype == .int64 && !outputs[0].requiresGradient)
    outputs[1].backward(Tensor([1.0, 10, 100]))
    expectEqual(x.gradient ?? x, [200, 2, 20], [3])
  }

  struct Failure: Error {}

  @Test func errorsOfTheBackwardPassReachTheCaller() {
    let x = Tensor([1.0, 2]).requiringGradient()
    func run(_ name: String, _ backward: @escaping ([Tensor?]) throws -> [Tensor?]) -> String {
      let y = customFunction(name, of: [x]) {
        [$0[0] * 2]
      } backward: {
        try backward($0)
      }
      let error = #expect(throws: TorchError.self) { try withTorchErrors { y[0].sum().backward() } }
      return error?.message ?? ""
    }
    let count = run("counts") { _ in [nil, nil] }
    #expect(count.contains("counts: backward returned 2 derivatives for 1 inputs"))
    #expect(run("throws") { _ in throw Failure() }.contains("throws: Failure()"))
    let shapes = run("adds") { outgoing in [outgoing[0].map { $0 + Tensor([1.0, 2, 3]) }] }
    #expect(
      shapes.contains("adds: add.Tensor([2] float64, [3] float64): The size of tensor a (2) must match"))
    #expect(run("shape") { _ in [Tensor([1.0, 2, 3])] }.contains("shape"))
  }

  @Test func aSecondBackwardPassSaysWhatToDo() {
    let x = Tensor([1.0]).requiringGradient()
    let y = customFunction("twice", of: [x]) {
      [$0[0] * 2]
    } backward: {
      $0
    }
    y[0].backward(retainGraph: true)
    y[0].backward()
    expectEqual(x.gradient ?? x, [2], [1])
    let error = #expect(throws: TorchError.self) { try withTorchErrors { y[0].backward() } }
    #expect(error?.message.contains("keep the graph with retainGraph: true") == true)
  }

  @Test(arguments: [false, true]) func whatTheClosureKeepsIsReleasedOnce(_ runsBackward: Bool) {
    final class Counter {
      deinit { released.value += 1 }; let released: Box<Int>; init(_ b: Box<Int>) { released = b }
    }
    let released = Box(0)
    do {
      let x = Tensor([1.0]).requiringGradient()
      let kept = Counter(released)
      let y = customFunction("keeps", of: [x]) {
        [$0[0] * 2]
      } backward: { outgoing in
        withExtendedLifetime(kept) { outgoing }
      }
      if runsBackward { y[0].backward() }
    }
    #expect(released.value == 1)
    do {
      let kept = Counter(released)
      _ = customFunction("no history", of: [Tensor([1.0])]) {
        $0
      } backward: { outgoing in
        withExtendedLifetime(kept) { outgoing }
      }
    }
    #expect(released.value == 2)
  }
}

/// A value that closures share.
final class Box<Value> {
  var value: Value
  init(_ value: Value) { self.value = value }
}
