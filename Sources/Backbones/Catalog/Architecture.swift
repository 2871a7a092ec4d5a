import Layers
public import Torch

/// Every architecture that Ganglion builds, by its published name.
///
/// A closed list: adding one is an edit that the compiler checks. What is known of each stands in its family's file.
public enum Architecture: String, CaseIterable, Sendable {
  /// SparX-Mamba-T.
  case sparxMambaTiny = "sparx_mamba_t"
  /// SparX-Mamba-S.
  case sparxMambaSmall = "sparx_mamba_s"
  /// SparX-Mamba-B.
  case sparxMambaBase = "sparx_mamba_b"
  /// A SparX-Mamba small enough to train on a CPU in minutes; not published.
  case sparxMambaMicro = "sparx_mamba_micro"

  /// MambaVision-T.
  case mambaVisionTiny = "mamba_vision_T"
  /// MambaVision-T2.
  case mambaVisionTiny2 = "mamba_vision_T2"
  /// MambaVision-S.
  case mambaVisionSmall = "mamba_vision_S"
  /// MambaVision-B.
  case mambaVisionBase = "mamba_vision_B"
  /// MambaVision-B, trained on ImageNet-21K first.
  case mambaVisionBase21K = "mamba_vision_B_21k"
  /// MambaVision-L.
  case mambaVisionLarge = "mamba_vision_L"
  /// MambaVision-L, trained on ImageNet-21K first.
  case mambaVisionLarge21K = "mamba_vision_L_21k"
  /// MambaVision-L2.
  case mambaVisionLarge2 = "mamba_vision_L2"
  /// MambaVision-L2 for images of 512 pixels, trained on ImageNet-21K first.
  case mambaVisionLarge2At512 = "mamba_vision_L2_512_21k"
  /// MambaVision-L3 for images of 256 pixels, trained on ImageNet-21K first.
  case mambaVisionLarge3At256 = "mamba_vision_L3_256_21k"
  /// MambaVision-L3 for images of 512 pixels, trained on ImageNet-21K first.
  case mambaVisionLarge3At512 = "mamba_vision_L3_512_21k"
  /// A MambaVision small enough to train on a CPU in minutes; not published.
  case mambaVisionMicro = "mamba_vision_micro"

  /// Swin-T.
  case swinTiny = "swin_tiny"
  /// Swin-S.
  case swinSmall = "swin_small"
  /// Swin-B.
  case swinBase = "swin_base"
  /// A Swin small enough to train on a CPU in minutes; not published.
  case swinMicro = "swin_micro"

  private var entry: CatalogEntry {
    switch self {
    case .sparxMambaTiny: .sparxMambaTiny
    case .sparxMambaSmall: .sparxMambaSmall
    case .sparxMambaBase: .sparxMambaBase
    case .sparxMambaMicro: .sparxMambaMicro
    case .mambaVisionTiny: .mambaVisionTiny
    case .mambaVisionTiny2: .mambaVisionTiny2
    case .mambaVisionSmall: .mambaVisionSmall
    case .mambaVisionBase: .mambaVisionBase
    case .mambaVisionBase21K: .mambaVisionBase21K
    case .mambaVisionLarge: .mambaVisionLarge
    case .mambaVisionLarge21K: .mambaVisionLarge21K
    case .mambaVisionLarge2: .mambaVisionLarge2
    case .mambaVisionLarge2At512: .mambaVisionLarge2At512
    case .mambaVisionLarge3At256: .mambaVisionLarge3At256
    case .mambaVisionLarge3At512: .mambaVisionLarge3At512
    case .mambaVisionMicro: .mambaVisionMicro
    case .swinTiny: .swinTiny
    case .swinSmall: .swinSmall
    case .swinBase: .swinBase
    case .swinMicro: .swinMicro
    }
  }

  /// The network, with the drop-path rate it was trained with.
  public var configuration: any BackboneConfiguration { entry.configuration }

  /// The images that this model takes.
  public var input: ModelInput { entry.input }

  /// What its authors published; `nil` for an architecture of ours.
  public var publication: Publication? { entry.publication }

  /// Builds the model with freshly drawn parameters.
  ///
  /// - Parameters:
  ///   - configuration: the network; the architecture's own if absent.
  ///   - imageSize: height and width of the images in pixels, for tables of positions; the architecture's own if absent.
  ///   - head: what follows the last stage.
  ///   - dropPath: the drop-path rate of the last layer; the configuration's if absent.
  ///   - channels: the number of image channels.
  ///   - seed: what the initial values are drawn from.
  ///   - dtype: the type of the parameters.
  ///   - device: where they live.
  /// - Returns: the model.
  public func makeModel(
    _ configuration: (any BackboneConfiguration)? = nil, imageSize: (height: Int, width: Int)? = nil,
    head: Head = .classifier(classes: 1000), dropPath: Double? = nil, channels: Int = 3, seed: UInt64 = 0,
    dtype: DType = .float32, device: Device = .cpu
  ) -> Model {
    let entry = entry
    let store = ParameterStore(seed: seed, dtype: dtype, device: device)
    var configuration = configuration ?? entry.configuration
    configuration.channels = channels
    if let dropPath { configuration.dropPath = dropPath }
    let size = imageSize ?? entry.input.imageSize
    return Model(architecture: self, store: store) { [configuration] scope in
      configuration.makeBackbone(scope, imageSize: size, head: head)
    }
  }
}
