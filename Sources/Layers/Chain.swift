public import Torch

/// Layers one after the other; with checkpointing, the backward pass computes each one's forward pass again.
public struct Chain<Link: Layer>: Layer {
  /// The layers in order.
  public let layers: [Link]
  private let parameters: [[Tensor]]
  private let mode: Mode

  /// Makes the layers.
  ///
  /// - Parameters:
  ///   - scope: where the layers' parameters go, layer i in `scope[i]`.
  ///   - count: the number of layers.
  ///   - make: makes layer i in its scope.
  public init(_ scope: Scope, count: Int, make: (_ scope: Scope, _ index: Int) -> Link) {
    layers = (0..<count).map { make(scope[$0], $0) }
    parameters = (0..<count).map { scope.store.parameters(in: scope[$0]) }
    mode = scope.mode
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    zip(layers, parameters).reduce(x) { x, link in
      let (layer, parameters) = link
      return mode.usesCheckpointing ? checkpoint([x], parameters: parameters) { [layer($0[0])] }[0] : layer(x)
    }
  }
}
