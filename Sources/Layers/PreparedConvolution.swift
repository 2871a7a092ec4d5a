import Torch

/// A convolution and its activation in one pass over maps stored channels last, with the weight packed.
enum PreparedConvolution: Layer {
  /// One pixel at a time: a matrix product.
  case pointwise(PackedLinear)
  /// One channel at a time, by our own kernel; the weight is `[k, k, C]`.
  case depthwise(weight: Tensor, bias: Tensor?, stride: Int, padding: Int, FusedActivation)
  /// Any other.
  case general(PackedConvolution)
  /// On a GPU, where nothing is to be packed.
  case gpu(ConvolutionParameters, Activation?)

  init(_ parameters: ConvolutionParameters, _ activation: Activation?, _ mode: Mode) {
    let weight = parameters.weight
    let fused = activation?.fused ?? .identity
    if weight.device.isCUDA {
      self = .gpu(mode.dtype.map(parameters.converted) ?? parameters, activation)
    } else if parameters.isDepthwise && hasMapKernels(weight) {
      self = .depthwise(
        weight: weight.squeeze(1).permute(1, 2, 0).detached().contiguous(),
        bias: parameters.bias?.detached().contiguous(), stride: parameters.stride,
        padding: parameters.padding, fused)
    } else if parameters.isPointwise {
      self = .pointwise(
        PackedLinear(weight.flatten(from: 1), bias: parameters.bias, activation: fused))
    } else {
      self = .general(
        PackedConvolution(
          weight, bias: parameters.bias, stride: parameters.stride, padding: parameters.padding,
          groups: parameters.groups, activation: fused))
    }
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    switch self {
    case .pointwise(let product):
      let pixels = x.contiguous(.channelsLast).permute(0, 2, 3, 1)  // [B, H, W, C]
      return product(pixels).permute(0, 3, 1, 2)
    case .depthwise(let weight, let bias, let stride, let padding, let activation):
      return x.mapDepthwise(weight, bias: bias, stride: stride, padding: padding, activation: activation)
    case .general(let convolution):
      return convolution(x)
    case .gpu(let parameters, let activation):
      return parameters.prepared(x, activation)
    }
  }
}

/// Whether our own kernels for maps on a CPU can work with a parameter.
func hasMapKernels(_ parameter: Tensor) -> Bool {
  parameter.device == .cpu && (parameter.dtype == .float32 || parameter.dtype == .float64)
}

extension Activation {
  /// The activation as a part of a kernel.
  var fused: FusedActivation {
    switch self {
    case .relu: .relu
    case .gelu: .gelu
    case .geluTanh: .geluTanh
    case .silu: .silu
    }
  }
}
