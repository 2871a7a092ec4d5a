public import Layers
public import Torch

/// A layer that a connection can be put around.
public protocol ConnectedLayer {
  /// From x `[B, C, H, W]`, and for a ganglion layer the maps it sees joined along channels, `[B, S·C, H, W]`, the
  /// next x; `nil` for an ordinary layer, and for a ganglion layer that has nothing to look at.
  func callAsFunction(_ x: Tensor, attending seen: Tensor?) -> Tensor
}

/// A stage whose layers are wired by a ``CrossLayerConnection``, whatever the layers are.
public struct ConnectedStage<Block: ConnectedLayer>: Layer {
  /// Which layer sees which.
  public let wiring: Wiring
  /// The layers in order.
  public let layers: [Block]
  private let parameters: [[Tensor]]
  private let mode: Mode
  private let join: ChannelJoin

  /// Makes the layers of a stage.
  ///
  /// - Parameters:
  ///   - scope: where the layers' parameters go, layer i in `scope[i]`.
  ///   - connection: the rules.
  ///   - depth: the number of layers.
  ///   - hasInput: whether the stage has an input to look at.
  ///   - make: makes layer i in its scope, given how many maps it sees; `nil` for an ordinary layer.
  public init(
    _ scope: Scope, _ connection: CrossLayerConnection, depth: Int, hasInput: Bool,
    make: (_ scope: Scope, _ index: Int, _ sources: Int?) -> Block
  ) {
    let wiring = connection.wiring(depth: depth, hasInput: hasInput)
    self.wiring = wiring
    layers = (0..<depth).map { make(scope[$0].inBlock($0), $0, wiring.sources[$0]?.count) }
    parameters = (0..<depth).map { scope.store.parameters(in: scope[$0]) }
    mode = scope.mode
    join = ChannelJoin(scope)
  }

  /// The stage's output of its input `[B, C, H, W]`.
  public func callAsFunction(_ input: Tensor) -> Tensor {
    var outputs: [Tensor] = []
    var x = input
    for (index, layer) in layers.enumerated() {
      let seen = wiring.sources[index].map { sources in
        sources.map { source in
          switch source {
          case .stageInput: input
          case .layer(let earlier): outputs[earlier]
          }
        }
      }
      x = run(layer, x, seen, parameters[index])
      outputs.append(x)
    }
    return x
  }

  private func run(_ layer: Block, _ x: Tensor, _ seen: [Tensor]?, _ parameters: [Tensor]) -> Tensor {
    func apply(_ inputs: [Tensor]) -> [Tensor] {
      [layer(inputs[0], attending: inputs.count > 1 ? join(Array(inputs.dropFirst())) : nil)]
    }
    let inputs = [x] + (seen ?? [])
    return mode.usesCheckpointing ? checkpoint(inputs, parameters: parameters, apply)[0] : apply(inputs)[0]
  }
}
