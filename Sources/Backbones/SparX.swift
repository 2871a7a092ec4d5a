public import Layers
import Scan
import Torch

/// SparX: a hierarchical backbone whose layers talk to each other through sparse cross-layer connections.
///
/// Lou, Fu & Yu, "SparX: A Sparse Cross-Layer Connection Mechanism for Hierarchical Vision Mamba and Transformer
/// Networks" (2409.09649), sections 3.1 and 3.2, table 1. The authors' code (LMMMEng/SparX models/sparx_mamba.py at
/// 1e84174) decides numbers; where it differs from the paper:
/// - Note: T has 27.05 M parameters, where the paper prints 25 M.
/// - Note: stages 3 and 4 scale the *shortcut* by a learned factor and offset for each channel, from 1 and 0; the paper
///   does not mention it.
/// - Note: the feed-forward layer's depthwise 3x3 convolution has a shortcut of its own.
/// - Note: all norms outside convolutions are group norms of one group over the whole map.
/// - Note: the map that enters a stage counts as an ordinary layer, so only the stage's first ganglion layer sees it.
///
/// Letters: B batch, C width of a stage, D inner width of the mixer, K = 4 directions, N states, R rank of the time
/// step, H, W positions.
public struct SparX: HierarchicalBackbone {
  /// What a stage is made of.
  public struct Stage: Hashable, Sendable {
    /// The number of layers.
    public var depth: Int
    /// The number of channels.
    public var width: Int
    /// Which layer sees which, and how.
    public var connection: CrossLayerConnection
    /// What the learned scale of the shortcuts starts from; `nil` for plain shortcuts.
    public var shortcutScale: Double?

    /// A stage of these parts.
    public init(depth: Int, width: Int, connection: CrossLayerConnection, shortcutScale: Double? = nil) {
      self.depth = depth
      self.width = width
      self.connection = connection
      self.shortcutScale = shortcutScale
    }
  }

  /// How an image becomes the first map, at a quarter of its size.
  public enum Stem: Hashable, Sendable {
    /// Two strided 3x3 convolutions (T).
    case twoConvolutions
    /// Two strided 3x3 convolutions with a third between them (S, B).
    case threeConvolutions
  }

  /// What mixes positions inside a layer.
  public enum Mixer: Hashable, Sendable {
    /// A depthwise convolution and the scan in four directions: the published SparX-Mamba.
    case scan2D(states: Int = 1, expansion: Int = 2, kernel: Int = 5)
    /// A depthwise convolution alone, between the same projections: a control without a scan.
    case convolution(expansion: Int = 2, kernel: Int = 5)
  }

  /// Everything that defines the network but its head.
  public struct Configuration: BackboneConfiguration {
    /// The stages, from fine to coarse.
    public var stages: [Stage]
    /// How an image becomes the first map.
    public var stem: Stem
    /// What mixes positions.
    public var mixer = Mixer.scan2D()
    /// Whether each layer begins with a residual depthwise 3x3 convolution that tells positions apart (DPE).
    public var hasPositionEncoding = true
    /// The feed-forward layer's hidden width as a multiple of the stage's.
    public var expansion = 4
    /// The drop-path rate of the last layer; it rises linearly from 0.
    public var dropPath = 0.0
    /// The number of image channels.
    public var channels = 3

    /// The layers of each stage.
    public var depths: [Int] {
      get { stages.map(\.depth) }
      set { for index in stages.indices { stages[index].depth = newValue[index] } }
    }
    /// The channels of each stage.
    public var widths: [Int] {
      get { stages.map(\.width) }
      set { for index in stages.indices { stages[index].width = newValue[index] } }
    }
    /// DMCA attends in four parts.
    public var widthUnit: Int { 4 }

    public func makeBackbone(_ scope: Scope, imageSize: (height: Int, width: Int), head: Head) -> any Backbone
    {
      SparX(scope, self, head: head)
    }

    /// A network of these stages.
    public init(stages: [Stage], stem: Stem) {
      self.stages = stages
      self.stem = stem
    }

    /// The published layout: widths, depths and reductions 8, 4, 2, 1 of stages 1 to 4, ganglion layers in stages 2 to 4.
    ///
    /// - Parameters:
    ///   - depths: layers of each stage.
    ///   - widths: channels of each stage.
    ///   - stem: how an image becomes the first map.
    ///   - stride: the paper's S in stage 3.
    ///   - window: the paper's M in stage 3.
    ///   - last: where stage 4 has ganglion layers.
    /// - Returns: the configuration.
    public static func published(
      depths: [Int], widths: [Int], stem: Stem, stride: Int, window: Int = 3,
      last: CrossLayerConnection.Placement = .every(stride: 1)
    ) -> Configuration {
      if depths.count != 4 || widths.count != 4 {
        fatalError(
          "SparX.Configuration.published: expected 4 depths and 4 widths, got \(depths) and \(widths)")
      }
      func connection(
        _ placement: CrossLayerConnection.Placement, reduction: Int, window: Int? = nil
      ) -> CrossLayerConnection {
        CrossLayerConnection(
          placement, reach: .sparse(window: window), aggregator: .dynamicChannels(.init(reduction: reduction))
        )
      }
      let connections = [
        CrossLayerConnection.none,
        connection(.every(stride: 1, from: 1), reduction: 4),
        connection(.every(stride: stride), reduction: 2, window: window),
        connection(last, reduction: 1),
      ]
      let stages = (0..<4).map {
        Stage(
          depth: depths[$0], width: widths[$0], connection: connections[$0], shortcutScale: $0 >= 2 ? 1 : nil)
      }
      return Configuration(stages: stages, stem: stem)
    }
  }

  /// One entry for each stage.
  public let featureInfo: [FeatureInfo]
  let stem: [ConvNorm]
  let stages: [ConnectedStage<SparXLayer>]
  let downsamples: [ConvNorm?]
  let outputNorms: [LayerNorm2d]
  let classifier: SparXClassifier?

  /// Declares the network's parameters under their published keys.
  ///
  /// - Parameters:
  ///   - scope: where they go.
  ///   - configuration: the network.
  ///   - head: what follows the last stage.
  public init(_ scope: Scope, _ configuration: Configuration, head: Head) {
    let widths = configuration.stages.map(\.width)
    featureInfo = widths.enumerated().map {
      FeatureInfo(name: "stage\($0.offset + 1)", channels: $0.element, stride: 4 << $0.offset)
    }
    stem = Self.makeStem(scope["patch_embed"], configuration)
    let depth = configuration.stages.reduce(0) { $0 + $1.depth }
    var stages: [ConnectedStage<SparXLayer>] = []
    var downsamples: [ConvNorm?] = []
    var before = 0
    for (index, stage) in configuration.stages.enumerated() {
      let place = scope["layers"][index].inStage(index)
      stages.append(
        ConnectedStage(
          place["blocks"], stage.connection, depth: stage.depth, hasInput: index > 0
        ) { scope, layer, sources in
          SparXLayer(
            scope, stage, configuration, sources: sources,
            dropPath: configuration.dropPath * Double(before + layer) / Double(max(1, depth - 1)))
        })
      before += stage.depth
      downsamples.append(
        index + 1 < widths.count
          ? ConvNorm(
            conv: place["downsample.0"].inStage(index + 1), norm: place["downsample.1"].inStage(index + 1),
            stage.width, widths[index + 1], kernel: 3, stride: 2) : nil)
    }
    self.stages = stages
    self.downsamples = downsamples
    switch head {
    case .none:
      outputNorms = []
      classifier = nil
    case .classifier(let classes):
      outputNorms = []
      classifier = SparXClassifier(scope["classifier"].afterBlocks, widths.last ?? 0, classes: classes)
    case .dense:
      outputNorms = widths.enumerated().map {
        LayerNorm2d(scope["norm"][$0.offset].afterBlocks, $0.element, epsilon: 1e-6)
      }
      classifier = nil
    }
  }

  private static func makeStem(_ scope: Scope, _ configuration: Configuration) -> [ConvNorm] {
    guard let width = configuration.stages.first?.width else { fatalError("SparX: a network needs stages") }
    func conv(_ index: Int, _ inputs: Int, _ outputs: Int, stride: Int, _ activation: Activation?) -> ConvNorm
    {
      ConvNorm(
        conv: scope[index], norm: scope[index + 1], inputs, outputs, kernel: 3, stride: stride,
        activation: activation)
    }
    let first = conv(0, configuration.channels, width / 2, stride: 2, .gelu)
    scope[0].adapts("weight", as: .imageChannels)
    switch configuration.stem {
    case .twoConvolutions:
      return [first, conv(3, width / 2, width, stride: 2, nil)]
    case .threeConvolutions:
      return [
        first, conv(3, width / 2, width / 2, stride: 1, .gelu), conv(6, width / 2, width, stride: 2, nil),
      ]
    }
  }

  /// Which layer sees which, stage by stage.
  public var wiring: [Wiring] { stages.map(\.wiring) }

  func downsampled(_ map: Tensor, after stage: Int) -> Tensor { downsamples[stage](map) }
}

/// Position encoding, token mixer and feed-forward layer of SparX, ordinary or ganglion.
///
/// Lou, Fu & Yu (2409.09649), section 3.1: "DPE → VSS block" or "DPE → DMCA → VSS block".
struct SparXLayer: ConnectedLayer {
  let position: ResidualDepthwiseConv?
  let norm1: GroupNorm
  let entry: SparXEntry
  let mixer: any Layer
  let residual1: ScaledResidual
  let norm2: GroupNorm
  let feedForward: ConvFeedForward
  let residual2: ScaledResidual

  init(
    _ scope: Scope, _ stage: SparX.Stage, _ configuration: SparX.Configuration, sources: Int?,
    dropPath: Double
  ) {
    let width = stage.width
    position =
      configuration.hasPositionEncoding
      ? ResidualDepthwiseConv(scope["pos_embed"], width, kernel: 3) : nil
    norm1 = GroupNorm(scope["norm"], width)
    let operation = scope["op"]
    switch configuration.mixer {
    case .scan2D(let states, let expansion, let kernel):
      let scan = Scan2DMixer.declareScan(operation, width: width, expansion: expansion, states: states)
      entry = SparXEntry(operation, stage, sources: sources, outputs: expansion * width)
      mixer = Scan2DMixer(operation, scan, width: width, expansion: expansion, kernel: kernel)
    case .convolution(let expansion, let kernel):
      entry = SparXEntry(operation, stage, sources: sources, outputs: expansion * width)
      mixer = ConvolutionMixer(operation, width: width, expansion: expansion, kernel: kernel)
    }
    norm2 = GroupNorm(scope["norm2"], width)
    feedForward = ConvFeedForward(scope["mlp"], width, hidden: configuration.expansion * width)
    func residual(_ index: Int) -> ScaledResidual {
      ScaledResidual(
        scale: stage.shortcutScale.map { (scope["layerscale_\(index)"], $0) },
        dropPath: DropPath(scope["drop_path_\(index)"], rate: dropPath), width)
    }
    residual1 = residual(1)
    residual2 = residual(2)
  }

  func callAsFunction(_ x: Tensor, attending seen: Tensor?) -> Tensor {
    let x = position(x)
    let y = residual1(x, mixer(entry(norm1(x), seen)))
    return residual2(y, feedForward(norm2(y)))
  }
}

/// What precedes the mixer: a projection in an ordinary layer, an aggregator in a ganglion layer.
enum SparXEntry {
  case projection(Conv2d)
  case aggregator(any CrossLayerAggregator)

  init(_ scope: Scope, _ stage: SparX.Stage, sources: Int?, outputs: Int) {
    if let sources, sources > 0 {
      self = .aggregator(
        stage.connection.aggregator.make(scope, width: stage.width, sources: sources, outputs: outputs))
    } else {
      self = .projection(Conv2d(scope["in_proj"], stage.width, outputs, kernel: 1))
    }
  }

  func callAsFunction(_ x: Tensor, _ seen: Tensor?) -> Tensor {
    switch self {
    case .projection(let project):
      return project(x)
    case .aggregator(let aggregate):
      guard let seen else { fatalError("a ganglion layer was given nothing to look at") }
      return aggregate(x, attending: seen)
    }
  }
}

/// The VSS mixer: a depthwise convolution, SiLU, the scan in four directions, a norm and a projection.
///
/// Liu et al., "VMamba" (2401.10166), section 4.2, without a gate. From `[B, D, H, W]` to `[B, C, H, W]`.
struct Scan2DMixer: Layer {
  let conv: Conv2d
  let scan: Scan2D
  let norm: GroupNorm
  let project: Conv2d

  init(_ scope: Scope, _ scan: Scan2D, width: Int, expansion: Int, kernel: Int) {
    let inner = expansion * width
    self.scan = scan
    conv = Conv2d(scope["conv2d"], inner, inner, kernel: kernel, groups: inner, activation: .silu)
    norm = GroupNorm(scope["out_norm"], inner)
    project = Conv2d(scope["out_proj"], inner, width, kernel: 1)
  }

  /// Declares the scan's own parameters, which stand before those of the entry in the published order.
  static func declareScan(_ scope: Scope, width: Int, expansion: Int, states: Int) -> Scan2D {
    let (K, D, N, R) = (4, expansion * width, states, (width + 15) / 16)
    return Scan2D(
      scope, projection: scope.parameter("x_proj_weight", [K * (R + 2 * N), D, 1], .fanInUniform(D)),
      channels: D, rank: R, states: N)
  }

  func callAsFunction(_ x: Tensor) -> Tensor { project(norm(scan(conv(x)))) }
}

/// A depthwise convolution, SiLU, a norm and a projection: the VSS mixer without its scan.
struct ConvolutionMixer: Layer {
  let conv: Conv2d
  let norm: GroupNorm
  let project: Conv2d

  init(_ scope: Scope, width: Int, expansion: Int, kernel: Int) {
    let inner = expansion * width
    conv = Conv2d(scope["conv2d"], inner, inner, kernel: kernel, groups: inner, activation: .silu)
    norm = GroupNorm(scope["out_norm"], inner)
    project = Conv2d(scope["out_proj"], inner, width, kernel: 1)
  }

  func callAsFunction(_ x: Tensor) -> Tensor { project(norm(conv(x))) }
}

/// A feed-forward layer with a residual depthwise 3x3 convolution before its activation.
///
/// Wang et al., "PVT v2" (2106.13797), section 3.3, with the shortcut of the SparX code.
struct ConvFeedForward: Layer {
  let expand: Conv2d
  let depthwise: ResidualDepthwiseConv
  let project: Conv2d

  init(_ scope: Scope, _ width: Int, hidden: Int) {
    expand = Conv2d(scope["fc1"], width, hidden, kernel: 1)
    depthwise = ResidualDepthwiseConv(scope["dwconv"], hidden, kernel: 3, activation: .gelu)
    project = Conv2d(scope["fc2"], hidden, width, kernel: 1)
  }

  func callAsFunction(_ x: Tensor) -> Tensor { project(depthwise(expand(x))) }
}

/// A norm, the mean over positions and a linear layer.
struct SparXClassifier: Layer {
  let norm: GroupNorm
  let linear: Linear

  init(_ scope: Scope, _ width: Int, classes: Int) {
    norm = GroupNorm(scope[0], width)
    linear = .classifier(scope[3], width, classes: classes)
  }

  func callAsFunction(_ x: Tensor) -> Tensor { linear(norm(x).mean(2, 3)) }
}
