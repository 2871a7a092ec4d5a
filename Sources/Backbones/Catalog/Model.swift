public import Layers
public import Torch

/// A backbone and the store of its parameters.
public struct Model {
  /// What it was built from.
  public let architecture: Architecture
  /// Its parameters and buffers.
  public let store: ParameterStore
  /// The network.
  public let backbone: any Backbone
  private let makeBackbone: (Scope) -> any Backbone

  init(architecture: Architecture, store: ParameterStore, makeBackbone: @escaping (Scope) -> any Backbone) {
    self.architecture = architecture
    self.store = store
    self.makeBackbone = makeBackbone
    backbone = makeBackbone(store.root)
  }

  /// The model for inference: normalisations folded into weights, weights packed, maps stored channels last.
  ///
  /// It computes the same function to within rounding, faster and without gradients. It keeps tensors of its own, so
  /// this model may go; changes of this model's parameters after the call do not reach it.
  ///
  /// - Parameter device: where it is to run; there are kernels for the CPU.
  /// - Returns: the prepared model, which can be neither trained nor saved: there is nothing to train in it.
  public func prepared(for device: Device = .cpu) -> PreparedModel {
    if device != .cpu || store.device != .cpu {
      fatalError(
        "Model.prepared: there are kernels for the CPU only, got a model on \(store.device) for \(device)")
    }
    return withoutGradients {
      PreparedModel(architecture, makeBackbone(ParameterStore(preparing: store).root))
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
