public import Torch

/// `x Wᵀ + b` over the last dimension.
public struct Linear: Layer {
  /// `[O, I]`.
  public let weight: Tensor
  /// `[O]`, if any.
  public let bias: Tensor?

  /// Declares `weight` and `bias`, started as the published backbones do: truncated normal 0.02 and zeros.
  public init(
    _ scope: Scope, _ inputs: Int, _ outputs: Int, bias: Bool = true,
    initializer: Initializer = .truncatedNormal(deviation: 0.02)
  ) {
    weight = scope.parameter("weight", [outputs, inputs], initializer)
    self.bias = bias ? scope.parameter("bias", [outputs], .zeros) : nil
  }

  /// The layer that ends a classifier, `[B, inputs]` to logits `[B, classes]`; it is replaced when a checkpoint has
  /// another number of classes.
  public static func classifier(_ scope: Scope, _ inputs: Int, classes: Int) -> Linear {
    let linear = Linear(scope, inputs, classes)
    for name in ["weight", "bias"] { scope.adapts(name, as: .classes) }
    return linear
  }

  public func callAsFunction(_ x: Tensor) -> Tensor { x.linear(weight, bias: bias) }
}
