public import Layers
public import Torch

/// What a model takes: the image size and statistics that its weights were trained with.
public struct ModelInput: Hashable, Sendable {
  /// Height and width in pixels.
  public var imageSize: (height: Int, width: Int) { (size, size) }
  /// The side of the square input in pixels.
  public var size = 224
  /// The share of the resized image that the central crop keeps.
  public var cropFraction = 0.875
  /// The mean of each channel in 0...1, subtracted.
  public var mean = [0.485, 0.456, 0.406]
  /// The standard deviation of each channel in 0...1, divided by.
  public var deviation = [0.229, 0.224, 0.225]

  /// ImageNet's usual preprocessing at that size and crop.
  public init(size: Int = 224, cropFraction: Double = 0.875) {
    self.size = size
    self.cropFraction = cropFraction
  }
}

/// What is known of a published model.
public struct Publication: Hashable, Sendable {
  /// The paper's arXiv number.
  public let paper: String
  /// Where the authors publish the weights.
  public let weights: String
  /// The authors' ImageNet-1K top-1 accuracy in percent.
  public let top1: Double
  /// The authors' rounded figures: parameters in millions and multiply-adds in billions.
  public let reported: (parameters: Double, multiplyAdds: Double)

  public static func == (a: Publication, b: Publication) -> Bool {
    a.weights == b.weights && a.top1 == b.top1
  }
  public func hash(into hasher: inout Hasher) { hasher.combine(weights) }
}

/// Every architecture that Ganglion builds, by its published name.
///
/// A closed list: adding one is an edit that the compiler checks.
public enum Architecture: String, CaseIterable, Sendable {
  /// SparX-Mamba-T.
  case sparxMambaTiny = "sparx_mamba_t"
  /// SparX-Mamba-S.
  case sparxMambaSmall = "sparx_mamba_s"
  /// SparX-Mamba-B.
  case sparxMambaBase = "sparx_mamba_b"
  /// A SparX-Mamba small enough to train on a CPU in minutes; not published.
  case sparxMambaMicro = "sparx_mamba_micro"

  /// The network's configuration, with the drop-path rate it was trained with.
  public var configuration: SparX.Configuration {
    switch self {
    case .sparxMambaTiny:
      var configuration = SparX.Configuration.published(
        depths: [2, 2, 7, 2], widths: [96, 192, 320, 512], stem: .twoConvolutions, stride: 2)
      configuration.dropPath = 0.2
      return configuration
    case .sparxMambaSmall:
      var configuration = SparX.Configuration.published(
        depths: [2, 2, 17, 2], widths: [96, 192, 328, 544], stem: .threeConvolutions, stride: 3)
      configuration.dropPath = 0.3
      return configuration
    case .sparxMambaBase:
      var configuration = SparX.Configuration.published(
        depths: [2, 2, 21, 3], widths: [120, 240, 396, 636], stem: .threeConvolutions, stride: 3,
        last: .every(stride: 2, from: 2))
      configuration.dropPath = 0.5
      return configuration
    case .sparxMambaMicro:
      var configuration = SparX.Configuration.published(
        depths: [1, 2, 3, 2], widths: [16, 32, 64, 96], stem: .twoConvolutions, stride: 2)
      configuration.mixer = .scan2D(kernel: 3)
      return configuration
    }
  }

  /// The images that this model takes.
  public var input: ModelInput {
    switch self {
    case .sparxMambaTiny: ModelInput(cropFraction: 0.9)
    case .sparxMambaSmall, .sparxMambaBase: ModelInput(cropFraction: 0.95)
    case .sparxMambaMicro: ModelInput(size: 64, cropFraction: 1)
    }
  }

  /// What its authors published; `nil` for an architecture of ours.
  public var publication: Publication? {
    let release = "https://github.com/LMMMEng/SparX/releases/download/v1/"
    func sparx(_ file: String, _ top1: Double, _ parameters: Double, _ multiplyAdds: Double) -> Publication {
      Publication(
        paper: "2409.09649", weights: release + file, top1: top1, reported: (parameters, multiplyAdds))
    }
    switch self {
    case .sparxMambaTiny: return sparx("sparx_mamba_tiny_in1k.pth", 83.5, 25, 5.2)
    case .sparxMambaSmall: return sparx("sparx_mamba_small_in1k.pth", 84.2, 47, 9.3)
    case .sparxMambaBase: return sparx("sparx_mamba_base_in1k.pth", 84.5, 84, 15.9)
    case .sparxMambaMicro: return nil
    }
  }

  /// Builds the model with freshly drawn parameters.
  ///
  /// - Parameters:
  ///   - configuration: the network; the architecture's own if absent.
  ///   - head: what follows the last stage.
  ///   - dropPath: the drop-path rate of the last layer; the configuration's if absent.
  ///   - channels: the number of image channels.
  ///   - seed: what the initial values are drawn from.
  ///   - dtype: the type of the parameters.
  ///   - device: where they live.
  /// - Returns: the model.
  public func makeModel(
    _ configuration: SparX.Configuration? = nil, head: Head = .classifier(classes: 1000),
    dropPath: Double? = nil, channels: Int = 3, seed: UInt64 = 0,
    dtype: DType = .float32, device: Device = .cpu
  ) -> Model {
    let store = ParameterStore(seed: seed, dtype: dtype, device: device)
    var configuration = configuration ?? self.configuration
    configuration.channels = channels
    if let dropPath { configuration.dropPath = dropPath }
    return Model(architecture: self, store: store) { [configuration] scope in
      SparX(scope, configuration, head: head)
    }
  }
}

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
