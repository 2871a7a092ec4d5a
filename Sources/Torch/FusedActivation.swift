import CTorch

/// What an inference kernel applies to each element of its result.
public enum FusedActivation: Int32, Hashable, Sendable {
  /// Nothing.
  case identity = 0
  /// max(x, 0).
  case relu = 1
  /// x Φ(x).
  case gelu = 2
  /// x Φ(x) by the hyperbolic-tangent approximation.
  case geluTanh = 3
  /// x σ(x).
  case silu = 4

  /// oneDNN's name of the operation after a product, and of its algorithm.
  var oneDNN: (name: StaticString, algorithm: Argument) {
    switch self {
    case .identity: ("none", .none)
    case .relu: ("relu", .none)
    case .gelu: ("gelu", .string("none"))
    case .geluTanh: ("gelu", .string("tanh"))
    case .silu: ("swish", .none)
    }
  }

  /// The activation by LibTorch's own operator.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    switch self {
    case .identity: x
    case .relu: x.relu()
    case .gelu: x.gelu()
    case .geluTanh: x.gelu(.tanh)
    case .silu: x.silu()
    }
  }
}
