public import Torch

/// Layers one after the other; with ``Mode/usesCheckpointing`` each is computed again in the backward pass.
public struct Chain<Element: Layer>: Layer {
  /// The layers in order.
  public let layers: [Element]
  private let parameters: [[Tensor]]
  private let mode: Mode

  /// Makes the layers of a chain.
  ///
  /// - Parameters:
  ///   - scope: where the layers' parameters go, layer i in `scope[i]` as a block of the stage.
  ///   - depth: the number of layers.
  ///   - make: makes layer i in its scope.
  public init(_ scope: Scope, depth: Int, make: (_ scope: Scope, _ index: Int) -> Element) {
    layers = (0..<depth).map { make(scope[$0].inBlock($0), $0) }
    parameters = (0..<depth).map { scope.store.parameters(in: scope[$0]) }
    mode = scope.mode
  }

  public func callAsFunction(_ x: Tensor) -> Tensor { layers.indices.reduce(x) { run($1, $0) } }

  /// The output of every layer, in order.
  public func outputs(of x: Tensor) -> [Tensor] {
    var x = x
    return layers.indices.map { index in
      x = run(index, x)
      return x
    }
  }

  private func run(_ index: Int, _ x: Tensor) -> Tensor {
    let layer = layers[index]
    guard mode.usesCheckpointing else { return layer(x) }
    return checkpoint([x], parameters: parameters[index]) { [layer($0[0])] }[0]
  }
}
