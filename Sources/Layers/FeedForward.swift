public import Torch

/// Two linear layers and an activation between them.
///
/// Vaswani et al. (1706.03762), section 3.3.
public struct FeedForward: Layer {
  let expand: Linear
  let activation: Activation
  let project: Linear

  /// Declares `fc1` and `fc2`.
  public init(_ scope: Scope, _ width: Int, hidden: Int, activation: Activation = .gelu) {
    expand = Linear(scope["fc1"], width, hidden)
    project = Linear(scope["fc2"], hidden, width)
    self.activation = activation
  }

  public func callAsFunction(_ x: Tensor) -> Tensor { project(activation(expand(x))) }
}
