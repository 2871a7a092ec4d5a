import TestSupport
import Testing
import Torch

@Suite struct ShapeTests {
  /// 0, 1, 2, … in that shape.
  private func counting(_ shape: Int...) -> Tensor {
    Tensor.arange(to: Double(shape.reduce(1, *))).reshape(shape)
  }

  @Test func reshaping() {
    expectEqual(counting(6).reshape(2, 3), [0, 1, 2, 3, 4, 5], [2, 3])
    expectShape(counting(6).reshape(-1, 2), [3, 2])
    expectShape(counting(2, 3, 4).flatten(from: 1), [2, 12])
    expectShape(counting(2, 3, 4).flatten(from: 0, to: 1), [6, 4])
    expectShape(counting(2, 1, 3).squeeze(1), [2, 3])
    expectShape(counting(2, 3).unsqueeze(-1), [2, 3, 1])
    expectEqual(counting(2, 1).expand([-1, 3]), [0, 0, 0, 1, 1, 1], [2, 3])
  }

  @Test func order() {
    expectEqual(counting(2, 3).transpose(0, 1), [0, 3, 1, 4, 2, 5], [3, 2])
    expectEqual(counting(1, 2, 3).permute(2, 0, 1), [0, 3, 1, 4, 2, 5], [3, 1, 2])
    expectEqual(counting(2, 3).flip(1), [2, 1, 0, 5, 4, 3], [2, 3])
    expectEqual(counting(2, 3).flip(0, 1), [5, 4, 3, 2, 1, 0], [2, 3])
    expectEqual(counting(4).roll([1], along: [0]), [3, 0, 1, 2], [4])
    expectEqual(counting(2, 3).roll([1, -1], along: [0, 1]), [4, 5, 3, 1, 2, 0], [2, 3])
  }

  @Test func parts() {
    expectEqual(counting(3, 2).narrow(0, from: 1, length: 2), [2, 3, 4, 5], [2, 2])
    expectEqual(counting(3, 2).select(1, 1), [1, 3, 5], [3])
    let chunks = counting(5).chunk(3, along: 0)
    #expect(chunks.map(\.count) == [2, 2, 1])
    expectEqual(chunks[2], [4], [1])
    let parts = counting(5).split([1, 4], along: 0)
    expectEqual(parts[1], [1, 2, 3, 4], [4])
    expectEqual(counting(3, 2).indexSelect(0, Tensor([2, 0, 2])), [4, 5, 0, 1, 4, 5], [3, 2])
    expectEqual(counting(2, 3).gather(1, Tensor([2, 0], [2, 1])), [2, 3], [2, 1])
  }

  @Test func masks() {
    let x = counting(2, 3)
    expectEqual(x.masked(by: x .> 2.5), [3, 4, 5], [3])
    expectEqual(x.maskedFill(x .> 2.5, -1), [0, 1, 2, -1, -1, -1], [2, 3])
    expectEqual(select(x .> 2.5, x, -x), [0, -1, -2, 3, 4, 5], [2, 3])
  }

  @Test func subscripts() {
    let x = counting(3, 4)
    expectEqual(x[1], [4, 5, 6, 7], [4])
    expectEqual(x[-1], [8, 9, 10, 11], [4])
    expectEqual(x[1, 2], [6], [])
    expectEqual(x[1..<3, 2...3], [6, 7, 10, 11], [2, 2])
    expectEqual(x[2..., ..<1], [8], [1, 1])
    expectEqual(x[..., 3], [3, 7, 11], [3])
    expectEqual(x[..., 1..<2], [1, 5, 9], [3, 1])
    expectShape(x[NewAxis(), 0..<2, NewAxis()], [1, 2, 1, 4])
    expectShape(x[..., NewAxis()], [3, 1, 4])
    expectShape(x[1..<1], [0, 4])
    expectShape(x[3...], [0, 4])
  }

  @Test func subscriptsShareMemory() {
    let x = counting(3, 4)
    x[1, 0..<2].fill(-1)
    expectEqual(x[1], [-1, -1, 6, 7], [4])
  }

  @Test(arguments: [0..<4, 2..<9, -1..<2])
  func rangesOutsideADimensionAreErrors(_ range: Range<Int>) {
    let error = #expect(throws: TorchError.self) { try withTorchErrors { counting(3, 2)[range] } }
    #expect(error?.message.contains("is outside dimension 0 of shape [3, 2]") == true)
  }

  @Test func joining() {
    let (a, b) = (Tensor([1.0, 2], [1, 2]), Tensor([3.0, 4], [1, 2]))
    expectEqual(concatenate([a, b], along: 0), [1, 2, 3, 4], [2, 2])
    expectEqual(concatenate([a, b], along: 1), [1, 2, 3, 4], [1, 4])
    expectEqual(stack([a, b]), [1, 2, 3, 4], [2, 1, 2])
    expectEqual(stack([a, b], along: -1), [1, 3, 2, 4], [1, 2, 2])
  }

  @Test func padding() {
    expectEqual(Tensor([1.0, 2], [1, 2]).padded([1, 0, 0, 1], value: 9), [9, 1, 2, 9, 9, 9], [2, 3])
    expectEqual(Tensor([1.0, 2, 3]).padded([0, -1]), [1, 2], [2])
  }

  @Test func viewsCarryGradients() {
    gradientCheck("views", [Tensor.filled([2, 3, 4], key: "x")]) { inputs in
      let x = inputs[0]
      return [
        x.permute(2, 0, 1).reshape(4, -1), x[..., 1..<3].flip(1), x.roll([1, 2], along: [0, 2]),
        concatenate([x[0], x[1]], along: 1), x.padded([1, 1]), x.indexSelect(2, Tensor([0, 0, 3])),
      ]
    }
  }
}
