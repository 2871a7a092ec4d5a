public import Torch

/// Two linear layers over the last dimension with an activation between them.
public struct FeedForward: Layer {
  private let expand: Linear
  private let project: Linear

  /// Declares the layers `fc1` and `fc2`.
  ///
  /// - Parameters:
  ///   - scope: where the parameters go.
  ///   - width: channels in and out.
  ///   - hidden: channels between the layers.
  ///   - activation: what follows the first layer.
  public init(_ scope: Scope, _ width: Int, hidden: Int, activation: Activation = .gelu) {
    expand = Linear(scope["fc1"], width, hidden, activation: activation)
    project = Linear(scope["fc2"], hidden, width)
  }

  public func callAsFunction(_ x: Tensor) -> Tensor { project(expand(x)) }
}
