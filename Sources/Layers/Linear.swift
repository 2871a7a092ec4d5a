public import Torch

/// `x Wᵀ + b` over the last dimension and an optional activation.
///
/// One type, because in a prepared model the activation is part of the product's pass.
public struct Linear: Layer {
  private enum Form {
    case plain(weight: Tensor, bias: Tensor?, Activation?)
    case prepared(PackedLinear)
  }
  private let form: Form

  /// `[O, I]`; `nil` in a prepared model, which has packed it.
  public var weight: Tensor? {
    guard case .plain(let weight, _, _) = form else { return nil }
    return weight
  }

  /// `[O]`, if any; `nil` in a prepared model.
  public var bias: Tensor? {
    guard case .plain(_, let bias, _) = form else { return nil }
    return bias
  }

  /// Declares `weight` and `bias`, started as the published backbones do: truncated normal 0.02 and zeros.
  public init(
    _ scope: Scope, _ inputs: Int, _ outputs: Int, bias: Bool = true, activation: Activation? = nil,
    initializer: Initializer = .truncatedNormal(deviation: 0.02)
  ) {
    let weight = scope.parameter("weight", [outputs, inputs], initializer)
    let bias = bias ? scope.parameter("bias", [outputs], .zeros) : nil
    form =
      scope.mode.isPrepared
      ? .prepared(
        PackedLinear(weight, bias: bias, activation: activation?.fused ?? .identity, dtype: scope.mode.dtype))
      : .plain(weight: weight, bias: bias, activation)
  }

  /// The layer that ends a classifier, `[B, inputs]` to logits `[B, classes]`; it is replaced when a checkpoint has
  /// another number of classes.
  public static func classifier(_ scope: Scope, _ inputs: Int, classes: Int) -> Linear {
    let linear = Linear(scope, inputs, classes)
    for name in ["weight", "bias"] { scope.adapts(name, as: .classes) }
    return linear
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    switch form {
    case .plain(let weight, let bias, let activation): activation(x.linear(weight, bias: bias))
    case .prepared(let product): product(x)
    }
  }
}
