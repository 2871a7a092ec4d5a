import TestSupport
import Testing
import Torch

/// The fixtures were made by PyTorch's own functions, in float64.
@Suite struct ResamplingTests {
  @Test(arguments: try Fixture("resize", in: .module).cases)
  func imagesAreResizedAsTheReferenceDoes(_ reference: Fixture.Case) throws {
    let image = try reference.content["input_uint8"].tensor().unsqueeze(0)
    let size = try reference.content["size"].ints()
    for (name, form) in [
      ("torch_bicubic_antialias_true", Interpolation.bicubic(antialias: true)),
      ("torch_bicubic_antialias_false", .bicubic()),
      ("torch_bilinear_antialias_true", .bilinear(antialias: true)),
      ("torch_bilinear_antialias_false", .bilinear()),
    ] {
      let expected = try reference.content[name].tensor().unsqueeze(0)
      expectClose(
        image.resized(size[0], size[1], form), expected, 1e-11, "\(reference.testDescription) \(name)")
    }
  }

  @Test(arguments: try Fixture("interpolate_bicubic", in: .module).cases)
  func bicubicAndItsDerivative(_ reference: Fixture.Case) throws {
    let x = try reference.input("x").requiringGradient()
    let size = try reference.attributes["size"].ints()
    let y = x.resized(size[0], size[1], .bicubic())
    expectClose(y, try reference.output(), 1e-11, reference.testDescription)
    try expectGradients(of: y, ["x": x], match: reference, 1e-11)
  }

  @Test(arguments: try Fixture("adaptive_avg_pool", in: .module).cases)
  func adaptivePoolingAndItsDerivative(_ reference: Fixture.Case) throws {
    let x = try reference.input("x").requiringGradient()
    let size = try reference.attributes["output"]
    let y =
      if case .number = size {
        x.adaptiveAveragePool1d(try size.int())
      } else {
        x.adaptiveAveragePool2d(try size[0].int(), try size[1].int())
      }
    expectClose(y, try reference.output(), 1e-11, reference.testDescription)
    try expectGradients(of: y, ["x": x], match: reference, 1e-11)
  }

  @Test func nearestTakesTheElementBelow() {
    let x = Tensor([1.0, 2, 3, 4], [1, 1, 2, 2])
    expectEqual(x.resized(2, 4, .nearest), [1, 1, 2, 2, 3, 3, 4, 4], [1, 1, 2, 4])
    expectEqual(Tensor.arange(to: 5).reshape(1, 1, 1, 5).resized(1, 2, .nearest), [0, 2], [1, 1, 1, 2])
  }

  @Test func pooling() {
    let x = Tensor.arange(to: 16, dtype: .float64).reshape(1, 1, 4, 4)
    expectEqual(x.averagePool2d(kernel: 2), [2.5, 4.5, 10.5, 12.5], [1, 1, 2, 2])
    expectEqual(x.maxPool2d(kernel: 2), [5, 7, 13, 15], [1, 1, 2, 2])
    expectEqual(x.maxPool2d(kernel: 3, stride: 2, padding: 1), [5, 7, 13, 15], [1, 1, 2, 2])
    expectEqual(x.averagePool2d(kernel: 3, stride: 1), [5, 6, 9, 10], [1, 1, 2, 2])
    let ones = Tensor.ones([1, 1, 2, 2], dtype: .float64)
    expectClose(ones.averagePool2d(kernel: 3, stride: 2, padding: 1), [4.0 / 9], 1e-15)
    expectEqual(ones.averagePool2d(kernel: 3, stride: 2, padding: 1, countPadding: false), [1], [1, 1, 1, 1])
    gradientCheck("pooling", [.filled([1, 2, 4, 5], key: "p")]) {
      [$0[0].averagePool2d(kernel: 2), $0[0].maxPool2d(kernel: 3, stride: 2, padding: 1)]
    }
  }
}
