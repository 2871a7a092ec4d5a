import TestSupport
import Testing
import Torch

@Suite struct DescriptionTests {
  struct Sample: CustomTestStringConvertible {
    let make: @Sendable () -> Tensor, text: String
    var testDescription: String { String(text.prefix { $0 != "\n" }) }
    init(_ text: String, _ make: @escaping @Sendable () -> Tensor) { (self.make, self.text) = (make, text) }
  }

  @Test(arguments: [
    Sample("Tensor[] float32\n3.5") { Tensor(Float(3.5)) },
    Sample("Tensor[3] float64\n[ 1.0, -2.5, 30.0]") { Tensor([1.0, -2.5, 30]) },
    Sample("Tensor[2] float64\n[0.3333, 1.0000]") { Tensor([1.0 / 3, 1]) },
    Sample("Tensor[2, 2] int64\n[[  1, 200],\n [ -3,   4]]") { Tensor([1, 200, -3, 4], [2, 2]) },
    Sample("Tensor[1] int64\n[9223372036854775807]") { Tensor([Int.max]) },
    Sample("Tensor[2] bool\n[ true, false]") { Tensor([true, false]) },
    Sample("Tensor[2] float64\n[1.0e-20, 2.5e+09]") { Tensor([1e-20, 2.5e9]) },
    Sample("Tensor[3] float64\n[ nan, -inf,  0.0]") { Tensor([Double.nan, -.infinity, 0]) },
    Sample("Tensor[2, 1, 2] float32\n[[[0.0, 0.0]],\n\n [[0.0, 0.0]]]") { Tensor.zeros([2, 1, 2]) },
    Sample("Tensor[9] int64\n[0, 1, 2, …, 6, 7, 8]") { Tensor.arange(to: 9, dtype: .int64) },
    Sample("Tensor[8] int64\n[0, 1, 2, 3, 4, 5, 6, 7]") { Tensor.arange(to: 8, dtype: .int64) },
    Sample("Tensor[0, 3] float32") { Tensor.zeros([0, 3]) },
    Sample("Tensor[2] float32\n[1.0, 2.0]") { Tensor([Float(1), 2]).requiringGradient() },
    Sample("Tensor[2] bfloat16\n[1.0, 2.0]") { Tensor([Float(1), 2]).to(.bfloat16) },
  ])
  func elementsAreLinedUp(_ sample: Sample) {
    #expect(sample.make().description == sample.text)
  }

  @Test func longDimensionsAreCutInEveryDirection() {
    let text = Tensor.arange(to: 200, dtype: .int64).reshape(10, 20).description
    #expect(text.hasPrefix("Tensor[10, 20] int64\n[[  0,   1,   2, …,  17,  18,  19],\n"))
    #expect(text.contains(" …,\n [140, "))
    #expect(text.split(separator: "\n").count == 8)
  }

  @Test func fourDimensionsKeepTheirBrackets() {
    #expect(
      Tensor.ones([2, 1, 1, 2]).description
        == "Tensor[2, 1, 1, 2] float32\n[[[[1.0, 1.0]]],\n\n\n [[[1.0, 1.0]]]]")
  }

  @Test func aPoisonedTensorSaysSo() {
    var text = ""
    #expect(throws: TorchError.self) {
      try withTorchErrors { text = (Tensor([1.0, 2]) + Tensor([1.0, 2, 3])).description }
    }
    #expect(text == "Tensor(poisoned)")
  }
}
