public import Torch

/// Normalisation over the last dimension.
///
/// Ba, Kiros & Hinton (1607.06450).
public struct LayerNorm: Layer {
  /// `[C]`.
  public let weight: Tensor
  /// `[C]`.
  public let bias: Tensor
  let channels: Int
  let epsilon: Double

  /// Declares the affine parameters.
  public init(_ scope: Scope, _ channels: Int, epsilon: Double = 1e-5) {
    weight = scope.parameter("weight", [channels], .ones)
    bias = scope.parameter("bias", [channels], .zeros)
    self.channels = channels
    self.epsilon = epsilon
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    x.layerNorm([channels], weight: weight, bias: bias, epsilon: epsilon)
  }
}
