import Torch

/// The parameters of a 2-D convolution, and what can be folded into them.
struct ConvolutionParameters {
  /// `[O, C/G, k, k]`.
  var weight: Tensor
  /// `[O]`, if any.
  var bias: Tensor?
  let stride: Int
  let padding: Int
  let groups: Int

  init(
    _ scope: Scope, _ inputs: Int, _ outputs: Int, kernel: Int, stride: Int = 1, padding: Int? = nil,
    groups: Int = 1, bias: Bool = true, initializer: Initializer = .truncatedNormal(deviation: 0.02),
    biasInitializer: Initializer = .zeros
  ) {
    if inputs % groups != 0 || outputs % groups != 0 {
      fatalError(
        "Conv2d `\(scope.key)`: \(inputs) and \(outputs) channels do not divide into \(groups) groups")
    }
    weight = scope.parameter("weight", [outputs, inputs / groups, kernel, kernel], initializer)
    self.bias = bias ? scope.parameter("bias", [outputs], biasInitializer) : nil
    self.stride = stride
    self.padding = padding ?? kernel / 2
    self.groups = groups
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    x.conv2d(weight, bias: bias, stride: stride, padding: padding, groups: groups)
  }

  /// Whether each channel is convolved by itself.
  var isDepthwise: Bool { weight.size(1) == 1 && groups == weight.size(0) }

  /// The convolution followed by a batch normalisation with its running statistics, as one convolution.
  ///
  /// The factors are computed in float64, so that folding adds one rounding.
  func folding(_ norm: BatchNorm2d) -> ConvolutionParameters {
    withoutGradients {
      let (factor, offset) = norm.affine
      var folded = self
      folded.weight = (weight.to(.float64) * factor.reshape(-1, 1, 1, 1)).to(weight.dtype)
      let moved = bias.map { $0.to(.float64) * factor + offset } ?? offset
      folded.bias = moved.to(weight.dtype)
      return folded
    }
  }

  /// The depthwise convolution plus its input, as one convolution.
  func addingInput() -> ConvolutionParameters {
    withoutGradients {
      let side = weight.size(2)
      if !isDepthwise || side % 2 == 0 || padding != side / 2 || stride != 1 {
        fatalError("a convolution takes up its input only if it is depthwise and keeps the map's size")
      }
      let center = side * side / 2
      let unit = Tensor((0..<side * side).map { $0 == center ? Float(1) : 0 }, [1, 1, side, side])
      var sum = self
      sum.weight = weight + unit.to(weight.dtype)
      return sum
    }
  }
}
