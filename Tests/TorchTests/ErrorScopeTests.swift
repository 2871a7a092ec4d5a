import TestSupport
import Testing
import Torch

@Suite struct ErrorScopeTests {
  private let two = Tensor([1.0, 2])
  private let three = Tensor([1.0, 2, 3])

  @Test func theFirstErrorIsKeptAndNamesOperatorAndShapes() {
    let error = #expect(throws: TorchError.self) {
      try withTorchErrors {
        let sum = two + three
        _ = sum.reshape(7, 7)
      }
    }
    #expect(
      error?.message
        == "add.Tensor([2] float64, [3] float64): The size of tensor a (2) must match the size of tensor b (3) "
        + "at non-singleton dimension 0")
  }

  @Test func afterAnErrorNothingRuns() {
    let target = Tensor([1.0, 2])
    let leaf = Tensor([1.0]).requiringGradient()
    #expect(throws: TorchError.self) {
      try withTorchErrors {
        let loss = (leaf * 2).sum()
        let sum = two + three
        target.fill(9)
        target.copy(from: Tensor([5.0, 6]))
        loss.backward()
        leaf.gradient = Tensor([1.0])
        #expect(sum.shape == [1] && sum.item().isNaN && sum.itemInt() == 0)
        #expect(sum.array(Double.self).count == 1 && sum.array(Double.self)[0].isNaN)
        #expect(sum.array(Int.self) == [0])
        #expect(sum.shape2 == (1, 1) && sum.shape3 == (1, 1, 1) && sum.shape4 == (1, 1, 1, 1))
        #expect(sum.size(3) == 1)
        #expect(Tensor.zeros([4]).item().isNaN && Tensor([1.0, 2]).item().isNaN)
        #expect(sum.chunk(3, along: 0).count == 3 && sum.split([1, 2], along: 1).count == 2)
        #expect(sum.topK(5).values.item().isNaN && sum.bytes().count == 4)
        #expect(gradients(of: [loss], withRespectTo: [leaf, leaf]).count == 2)
        #expect(checkpoint([sum], parameters: []) { $0 }.count == 1)
        AdamW([ParameterGroup([leaf], weightDecay: 0)]).step(learningRate: 1)
        clipGradients(of: [leaf], toNorm: 1)
      }
    }
    expectEqual(target, [1, 2], [2])
    expectEqual(leaf, [1], [1])
    #expect(leaf.gradient.isNone)
  }

  @Test func withoutAnErrorTheResultComesBack() throws {
    #expect(try withTorchErrors { (two + two).array(Double.self) } == [2, 4])
  }

  /// What a scope around `body` throws.
  private func failure(_ body: () throws -> Void) -> TorchError? {
    do {
      try withTorchErrors(body)
      return nil
    } catch {
      return error as? TorchError
    }
  }

  @Test func anErrorOfAnInnerScopeStaysThere() throws {
    let value = try withTorchErrors {
      #expect(failure { _ = two + three }?.message.hasPrefix("add.Tensor") == true)
      return (two + two).sum().item()
    }
    #expect(value == 6)
  }

  @Test func anInnerScopeOfAFailedOneFailsWithTheFirstError() {
    var inner: TorchError?
    let outer = failure {
      _ = two + three
      inner = failure { _ = two.reshape(9) }
    }
    #expect(outer?.message.hasPrefix("add.Tensor") == true)
    #expect(inner == outer)
  }

  @Test func errorsOfSwiftPassThrough() {
    struct Stop: Error {}
    #expect(throws: Stop.self) { try withTorchErrors { throw Stop() } }
    #expect(throws: TorchError.self) {
      try withTorchErrors {
        _ = two + three
        throw Stop()
      }
    }
    #expect((two + two).sum().item() == 6)
  }

  @Test func ranksAndDimensionsAreChecked() {
    for (body, says) in [
      ({ _ = two.shape4 }, "expected 4 dimensions, got shape [2]"),
      ({ _ = two.size(1) }, "size: dimension 1 of a tensor of shape [2]"),
      ({ _ = two.item() }, "item of [2] float64"),
      ({ _ = two.select(0, 2) }, "select.int([2] float64, 0, 2)"),
      ({ _ = concatenate([two, Tensor.ones([1, 1])], along: 0) }, "cat([[2] float64, [1, 1] float32], 0)"),
      ({ two.sum().backward() }, "backward of [] float64"),
      ({ Tensor([1, 2]).requiringGradient() }, "requiringGradient(true) of [2] int64"),
    ] as [(() -> Void, String)] {
      let error = #expect(throws: TorchError.self) { try withTorchErrors { body() } }
      #expect(error?.message.contains(says) == true, "\(error?.message ?? "")")
    }
  }

  @Test func unknownOperatorsAndArguments() throws {
    #expect(throws: TorchError.self) { try Operator("no_such_operator") }
    let relu = try Operator("relu")
    #expect(failure { relu() }?.message.contains("argument 'self' is missing") == true)
    #expect(failure { relu(.int(1)) } != nil)
    #expect(
      failure { relu(.tensor(two), .int(1)) }?.message.contains("takes at most 1 arguments, got 2") == true)
    #expect(throws: TorchError.self) { try Engine.setScanCapability("no such instruction set") }
  }

  @Test func outsideAScopeTheSentenceEndsTheProcess() async throws {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Tensor([1.0, 2]).matmul(Tensor([1.0, 2, 3]))
    }
    let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
    #expect(text.contains("matmul([2] float64, [3] float64): "))
  }
}
