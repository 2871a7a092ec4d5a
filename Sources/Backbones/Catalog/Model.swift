public import Layers
public import Torch

/// A backbone and the store of its parameters.
public struct Model {
  /// What it was built from.
  public let architecture: Architecture
  /// Its parameters and buffers.
  public private(set) var store: ParameterStore
  /// The network.
  public private(set) var backbone: any Backbone
  /// What follows the last stage.
  public private(set) var head: Head
  private let makeBackbone: (Scope, Head) -> any Backbone

  init(
    architecture: Architecture, store: ParameterStore, head: Head,
    makeBackbone: @escaping (Scope, Head) -> any Backbone
  ) {
    self.architecture = architecture
    self.store = store
    self.head = head
    self.makeBackbone = makeBackbone
    backbone = makeBackbone(store.root, head)
  }

  /// Puts another head on the network: its tensors start afresh where they depend on the number of classes or the old
  /// head lacked them; all others are the tensors that they were, frozen or not.
  ///
  /// Copies of this model that were made before keep their head and share the network.
  ///
  /// - Parameters:
  ///   - head: what is to follow the last stage.
  ///   - seed: what new values are drawn from.
  public mutating func resetHead(_ head: Head, seed: UInt64 = 0) {
    store = ParameterStore(replacingHeadOf: store, seed: seed)
    self.head = head
    backbone = makeBackbone(store.root, head)
  }

  /// The parameters by their depth: the stem, the blocks in order, and the head with what follows the last block.
  public var layerGroups: LayerGroups { store.layerGroups }

  /// The model for inference: normalisations folded into weights, weights packed, maps stored channels last.
  ///
  /// It computes the same function to within rounding, faster and without gradients. It keeps tensors of its own, so
  /// this model may go; changes of this model's parameters after the call do not reach it.
  ///
  /// - Parameter dtype: on a GPU, the type that products and maps are computed in: `.bfloat16` or `.float16`, with sums and
  ///   the scans' states in single precision; that of the parameters if absent.
  /// - Returns: the prepared model, which can be neither trained nor saved: there is nothing to train in it.
  public func prepared(dtype: DType? = nil) -> PreparedModel {
    if let dtype, dtype != store.dtype, !store.device.isCUDA {
      fatalError(
        "Model.prepared: models on \(store.device) compute in the type of their parameters, \(store.dtype), got \(dtype)"
      )
    }
    let type = dtype == store.dtype ? nil : dtype
    return withoutGradients {
      PreparedModel(
        architecture, makeBackbone(ParameterStore(preparing: store, dtype: type).root, head),
        device: store.device, dtype: type)
    }
  }

  /// The number of image channels.
  public var channels: Int {
    store.entries.first { $0.adaptation == .imageChannels }?.tensor.size(1) ?? 3
  }

  /// Multiply-adds for one image of that size in pixels, by region: `stem`, `stage1`, …, `head`.
  ///
  /// Convolutions, linear layers and attention products, and 9 L D N + L D for each scan.
  public func multiplyAdds(height: Int, width: Int) -> [String: Int] {
    OperationCounter.count {
      withoutGradients {
        _ = backbone(.zeros([1, channels, height, width], dtype: store.dtype, device: store.device))
      }
    }
  }
}
