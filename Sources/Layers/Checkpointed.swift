public import Torch

/// A layer that computes its forward pass again in the backward pass when ``Mode/usesCheckpointing`` asks for it.
public struct Checkpointed: Layer {
  private let layer: any Layer
  private let parameters: [Tensor]
  private let mode: Mode

  /// A layer whose parameters lie in `scope`.
  ///
  /// - Parameters:
  ///   - scope: where the layer's parameters go.
  ///   - make: makes the layer.
  public init(_ scope: Scope, _ make: (Scope) -> any Layer) {
    layer = make(scope)
    parameters = scope.store.parameters(in: scope)
    mode = scope.mode
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    guard mode.usesCheckpointing else { return layer(x) }
    return checkpoint([x], parameters: parameters) { [layer($0[0])] }[0]
  }
}
