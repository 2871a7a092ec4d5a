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
  /// TransXNet-T.
  case transXNetTiny = "transxnet_t"
  /// TransXNet-S.
  case transXNetSmall = "transxnet_s"
  /// TransXNet-B.
  case transXNetBase = "transxnet_b"
  /// TransXNet-B for images of 384 by 384 pixels.
  case transXNetBase384 = "transxnet_b_384"
  /// A TransXNet small enough to train on a CPU in minutes; not published.
  case transXNetMicro = "transxnet_micro"

  private var entry: CatalogEntry {
    switch self {
    case .sparxMambaTiny: .sparxMambaTiny
    case .sparxMambaSmall: .sparxMambaSmall
    case .sparxMambaBase: .sparxMambaBase
    case .sparxMambaMicro: .sparxMambaMicro
    case .transXNetTiny: .transXNetTiny
    case .transXNetSmall: .transXNetSmall
    case .transXNetBase: .transXNetBase
    case .transXNetBase384: .transXNetBase384
    case .transXNetMicro: .transXNetMicro
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
