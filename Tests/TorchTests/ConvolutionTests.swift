import TestSupport
import Testing
import Torch

/// The definition, by loops: the value of `map` `[C, H, W]` at a place that may lie in the padding.
private struct Map {
  let values: [Double], C: Int, H: Int, W: Int
  init(_ tensor: Tensor) {
    (C, H, W) = tensor.shape3
    values = tensor.array(Double.self)
  }
  subscript(_ c: Int, _ y: Int, _ x: Int) -> Double {
    y >= 0 && y < H && x >= 0 && x < W ? values[(c * H + y) * W + x] : 0
  }
}

@Suite struct ConvolutionTests {
  struct Setting: CustomTestStringConvertible {
    var input = [4, 7, 6], outputs = 6, kernel = [3, 3], stride = 1, padding = 0, dilation = 1, groups = 1
    var outputPadding = 0
    var testDescription: String {
      "\(input) to \(outputs), kernel \(kernel), stride \(stride), padding \(padding), dilation \(dilation), "
        + "groups \(groups), output padding \(outputPadding)"
    }
  }

  @Test(arguments: [
    Setting(), Setting(stride: 2), Setting(padding: 1), Setting(kernel: [1, 1]),
    Setting(kernel: [5, 2], padding: 2),
    Setting(stride: 2, padding: 1, dilation: 2), Setting(groups: 2),
    Setting(outputs: 8, padding: 1, groups: 4),
  ])
  func conv2dIsItsDefinition(_ s: Setting) {
    let x = Tensor.filled(s.input, key: "x", dtype: .float64)
    let w = Tensor.filled([s.outputs, s.input[0] / s.groups] + s.kernel, key: "w", dtype: .float64)
    let b = Tensor.filled([s.outputs], key: "b", dtype: .float64)
    let y = x.unsqueeze(0).conv2d(
      w, bias: b, stride: s.stride, padding: s.padding, dilation: s.dilation, groups: s.groups)
    let (map, weights, bias) = (Map(x), w.array(Double.self), b.array(Double.self))
    let (height, width) = (y.size(2), y.size(3))
    #expect(height == (s.input[1] + 2 * s.padding - s.dilation * (s.kernel[0] - 1) - 1) / s.stride + 1)
    let inputs = s.input[0] / s.groups
    var expected: [Double] = []
    for o in 0..<s.outputs {
      let firstInput = o / (s.outputs / s.groups) * inputs
      for row in 0..<height {
        for column in 0..<width {
          var sum = bias[o]
          for c in 0..<inputs {
            for i in 0..<s.kernel[0] {
              for j in 0..<s.kernel[1] {
                let weight = weights[((o * inputs + c) * s.kernel[0] + i) * s.kernel[1] + j]
                sum +=
                  weight
                  * map[
                    firstInput + c, row * s.stride - s.padding + i * s.dilation,
                    column * s.stride - s.padding + j * s.dilation]
              }
            }
          }
          expected.append(sum)
        }
      }
    }
    expectClose(y, expected, 1e-13, "conv2d")
  }

  // A transposed convolution is the adjoint of the convolution: <conv(u), x> = <u, transposed(x)>.
  @Test(arguments: [
    Setting(), Setting(stride: 2), Setting(kernel: [2, 2], stride: 2),
    Setting(stride: 2, padding: 1, outputPadding: 1),
    Setting(padding: 1, groups: 2),
  ])
  func transposedConvolutionIsTheAdjoint(_ s: Setting) {
    let x = Tensor.filled([1] + s.input, key: "x", dtype: .float64)
    let w = Tensor.filled([s.input[0], s.outputs / s.groups] + s.kernel, key: "w", dtype: .float64)
    let y = x.convTranspose2d(
      w, stride: s.stride, padding: s.padding, outputPadding: s.outputPadding, groups: s.groups)
    #expect(y.size(2) == (s.input[1] - 1) * s.stride - 2 * s.padding + s.kernel[0] + s.outputPadding)
    let u = Tensor.filled(y.shape, key: "u", dtype: .float64)
    let back = u.conv2d(w, stride: s.stride, padding: s.padding, groups: s.groups)
    expectClose((back * x).sum(), (u * y).sum(), 1e-12, "transposed convolution")
    let biased = x.convTranspose2d(
      w, bias: Tensor.ones([s.outputs], dtype: .float64), stride: s.stride, padding: s.padding,
      outputPadding: s.outputPadding, groups: s.groups)
    expectClose(biased, y + 1, 1e-13)
  }

  @Test func conv1dByHand() {
    let x = Tensor([1.0, 2, 3, 4], [1, 1, 4])
    let w = Tensor([1.0, 10, 100], [1, 1, 3])
    expectEqual(x.conv1d(w), [321, 432], [1, 1, 2])
    expectEqual(x.conv1d(w, bias: Tensor([0.5]), stride: 2, padding: 1), [210.5, 432.5], [1, 1, 2])
    let two = Tensor([1.0, 2, 3, 4], [1, 2, 2])
    expectEqual(two.conv1d(Tensor([10.0, 100], [2, 1, 1]), groups: 2), [10, 20, 300, 400], [1, 2, 2])
  }

  @Test func linearByHand() {
    let x = Tensor([1.0, 2, 3, 4, 5, 6], [2, 3])
    let w = Tensor([1.0, 0, -1, 0.5, 0.5, 0.5], [2, 3])
    expectEqual(x.linear(w), [-2, 3, -2, 7.5], [2, 2])
    expectEqual(x.linear(w, bias: Tensor([10.0, 20])), [8, 23, 8, 27.5], [2, 2])
  }

  @Test func derivatives() {
    let map = Tensor.filled([2, 2, 4, 3], key: "m")
    gradientCheck("conv2d", [map, .filled([4, 1, 3, 3], key: "w"), .filled([4], key: "b")]) {
      $0[0].conv2d($0[1], bias: $0[2], stride: 2, padding: 1, groups: 2)
    }
    gradientCheck("convTranspose2d", [map, .filled([2, 3, 2, 2], key: "w"), .filled([3], key: "b")]) {
      $0[0].convTranspose2d($0[1], bias: $0[2], stride: 2)
    }
    gradientCheck("conv1d", [map[0], .filled([2, 2, 3], key: "w")]) {
      $0[0].flatten(from: 1).unsqueeze(0).conv1d($0[1], padding: 1)
    }
  }
}
