public import Torch

/// A linear layer over the channels of a map `[B, C, H, W]` and an optional activation: a 1x1 convolution whose weight is
/// published as `[O, C]`, by some files as `[O, C, 1, 1]`.
public struct Linear2d: Layer {
  private enum Form {
    case plain(weight: Tensor, bias: Tensor?, Activation?)
    case prepared(PackedLinear)
  }
  private let form: Form

  /// Declares `weight` and `bias`, started as the published backbones do: truncated normal 0.02 and zeros.
  public init(_ scope: Scope, _ inputs: Int, _ outputs: Int, bias: Bool = true, activation: Activation? = nil)
  {
    let weight = scope.parameter("weight", [outputs, inputs], .truncatedNormal(deviation: 0.02))
    scope.takesConvolution("weight")
    let bias = bias ? scope.parameter("bias", [outputs], .zeros) : nil
    form =
      scope.mode.isPrepared
      ? .prepared(
        PackedLinear(weight, bias: bias, activation: activation?.fused ?? .identity, dtype: scope.mode.dtype))
      : .plain(weight: weight, bias: bias, activation)
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    let pixels = x.permute(0, 2, 3, 1)  // [B, H, W, C]
    let result =
      switch form {
      case .plain(let weight, let bias, let activation): activation(pixels.linear(weight, bias: bias))
      case .prepared(let product): product(pixels)
      }
    return result.permute(0, 3, 1, 2)
  }
}
