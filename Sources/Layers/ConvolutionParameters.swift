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

  /// The convolution of a map, with the map added if asked for, and the activation.
  func callAsFunction(_ x: Tensor, addingInput: Bool = false, _ activation: Activation? = nil) -> Tensor {
    if x.device.isCUDA { return onGPU(x, addingInput: addingInput, activation) }
    let result = x.conv2d(weight, bias: bias, stride: stride, padding: padding, groups: groups)
    return activation(addingInput ? x + result : result)
  }

  /// On a GPU maps are stored channels last, so that a 1x1 convolution is a product over pixels; depthwise ones are a kernel
  /// of our own.
  private func onGPU(_ x: Tensor, addingInput: Bool, _ activation: Activation?) -> Tensor {
    if isDepthwise {
      return x.depthwiseConv2d(
        weight, bias: bias, stride: stride, padding: padding, addsInput: addingInput,
        activation: activation?.fused ?? .identity)
    }
    let result = isPointwise ? pixelProducts(x) : channelsLast(x, bias: bias)
    return activation(addingInput ? x + result : result)
  }

  private func channelsLast(_ x: Tensor, bias: Tensor?) -> Tensor {
    x.contiguous(.channelsLast)
      .conv2d(weight, bias: bias, stride: stride, padding: padding, groups: groups)
  }

  /// One product over all pixels; a part of another map's channels is read where it lies.
  private func pixelProducts(_ x: Tensor) -> Tensor {
    let (B, _, H, W) = x.shape4
    return x.permute(0, 2, 3, 1).flatten(from: 0, to: 2)  // [B·H·W, C]
      .linear(weight.flatten(from: 1), bias: bias)
      .reshape(B, H, W, -1).permute(0, 3, 1, 2)
  }

  /// For inference on a GPU: LibTorch adds a bias to its convolutions in a slow pass of its own.
  func prepared(_ x: Tensor, _ activation: Activation?) -> Tensor {
    guard let bias, !isDepthwise, !isPointwise else { return self(x, activation) }
    return channelsLast(x, bias: nil).addingBias(bias, activation?.fused ?? .identity)
  }

  /// Whether each channel is convolved by itself, by a square window.
  var isDepthwise: Bool {
    weight.size(1) == 1 && groups == weight.size(0) && weight.size(2) == weight.size(3)
  }

  /// Whether pixels do not see each other and channels are not divided.
  var isPointwise: Bool {
    weight.size(2) == 1 && weight.size(3) == 1 && groups == 1 && stride == 1 && padding == 0
  }

  /// The parameters in the type of a prepared model; our own kernels take theirs in single precision.
  func converted(to dtype: DType) -> ConvolutionParameters {
    var result = self
    if !isDepthwise { result.weight = weight.to(dtype) }
    if isPointwise { result.bias = bias?.to(dtype) }
    return result
  }

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
      sum.weight = weight + unit.to(device: weight.device, dtype: weight.dtype)
      return sum
    }
  }
}
