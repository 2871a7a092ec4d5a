public import Torch

/// A function of one tensor with parameters.
///
/// Layers are structs of handles: copying a layer shares its parameters.
public protocol Layer {
  /// The layer's value at `x`.
  func callAsFunction(_ x: Tensor) -> Tensor
}

/// An absent layer is the identity.
extension Optional: Layer where Wrapped: Layer {
  public func callAsFunction(_ x: Tensor) -> Tensor {
    guard let layer = self else { return x }
    return layer(x)
  }
}

/// Layers are computed one after the other.
extension Array: Layer where Element: Layer {
  public func callAsFunction(_ x: Tensor) -> Tensor { reduce(x) { $1($0) } }
}

/// An element-wise non-linearity.
public enum Activation: Hashable, Sendable, Layer {
  /// max(x, 0).
  case relu
  /// x Φ(x), by the error function.
  case gelu
  /// x Φ(x), by the hyperbolic-tangent approximation.
  case geluTanh
  /// x σ(x).
  case silu

  public func callAsFunction(_ x: Tensor) -> Tensor {
    switch self {
    case .relu: x.relu()
    case .gelu: x.gelu()
    case .geluTanh: x.gelu(.tanh)
    case .silu: x.silu()
    }
  }
}
