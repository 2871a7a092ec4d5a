public import Layers
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
  ///
  /// The scans and ``convolution(expansion:kernel:)`` begin with a projection, which the aggregator replaces in a ganglion
  /// layer; the others are handed the aggregator's output instead of the layer's own features.
  public enum Mixer: Hashable, Sendable {
    /// A depthwise convolution and the scan in four directions: the published SparX-Mamba.
    case scan2D(states: Int = 1, expansion: Int = 2, kernel: Int = 5)
    /// A depthwise convolution alone, between the same projections: a control without a scan.
    case convolution(expansion: Int = 2, kernel: Int = 5)
    /// Mamba's scan of the positions row by row, or Vim's in both directions, without a convolution or a gate.
    ///
    /// Section 4.5, "SSM" and "Bi-SSM"; the authors publish no code.
    /// - Note: only the four-way scan of the published layer and its depthwise convolution are replaced, so projections,
    ///   SiLU, the norm and the number of states stay.
    case scan1D(VisionMamba.Directions = .forward, states: Int = 1, expansion: Int = 2)
    /// Attention inside windows, which every other layer shifts by half their side: Swin's.
    ///
    /// Section 4.5, "SparX-Swin"; the authors publish no code.
    /// - Note: the aggregator gives C channels, from which queries, keys and values are projected.
    /// - Note: a map that is no larger than a window is not shifted, whatever the head.
    /// - Note: heads are as wide as the multiple of 4 nearest to `headWidth` that divides the stage's width, the smaller of
    ///   two: the widths of SparX-Swin-B do not divide by Swin's 32.
    case windowAttention(side: Int = 7, headWidth: Int = 32)
    /// A convolution beside a gate: MambaOut's Gated CNN block without its norm and shortcut.
    case gatedConvolution(expansion: Double = 8.0 / 3, kernel: Int = 7)
    /// A scan beside a branch without one inside windows: MambaVision's mixer.
    case windowScan(side: Int = 14, states: Int = 8)
    /// Dynamic convolution of one half of the channels, attention of the other: TransXNet's D-Mixer.
    ///
    /// Stages 1, 2, 3 reduce keys and values by 8, 4, 2 as published, and what it gives is scaled from 1e-5 as published;
    /// each layer has a table of biases of its own.
    case dualDynamic(headWidth: Int = 24, kernels: Int = 2, kernel: Int = 7)
  }

  /// What mixes channels inside a layer.
  public enum FeedForward: Hashable, Sendable {
    /// Two projections with a residual depthwise 3x3 convolution between them: the published SparX-Mamba.
    case convolutional
    /// Two projections: section 4.5, "FFN".
    case linear
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
    /// What mixes channels.
    public var feedForward = FeedForward.convolutional
    /// The feed-forward layer's hidden width as a multiple of the stage's, rounded down.
    public var expansion = 4.0
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
    /// DMCA attends in four parts; the D-Mixer halves the channels first.
    public var widthUnit: Int { if case .dualDynamic = mixer { 8 } else { 4 } }

    public func makeBackbone(_ scope: Scope, imageSize: (height: Int, width: Int), head: Head) -> any Backbone
    {
      SparX(scope, self, imageSize: imageSize, head: head)
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
  ///   - imageSize: height and width in pixels of the images that tables of biases are for, if the mixer has any.
  ///   - head: what follows the last stage.
  public init(
    _ scope: Scope, _ configuration: Configuration, imageSize: (height: Int, width: Int) = (224, 224),
    head: Head
  ) {
    let widths = configuration.stages.map(\.width)
    featureInfo = FeatureInfo.pyramid(widths)
    stem = Self.makeStem(scope["patch_embed"], configuration)
    let rates = configuration.dropPathRates
    var stages: [ConnectedStage<SparXLayer>] = []
    var downsamples: [ConvNorm?] = []
    for (index, stage) in configuration.stages.enumerated() {
      let place = scope["layers"][index].inStage(index)
      stages.append(
        ConnectedStage(
          place["blocks"], stage.connection, depth: stage.depth, hasInput: index > 0
        ) { scope, layer, sources in
          SparXLayer(
            scope, configuration,
            at: SparXPlace(
              stage: index, layer: layer, sources: sources,
              height: imageSize.height.dividedUp(by: 4 << index),
              width: imageSize.width.dividedUp(by: 4 << index)),
            dropPath: rates[index][layer])
        })
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
  let feedForward: any Layer
  let residual2: ScaledResidual

  init(_ scope: Scope, _ configuration: SparX.Configuration, at place: SparXPlace, dropPath: Double) {
    let stage = configuration.stages[place.stage]
    let width = stage.width
    position =
      configuration.hasPositionEncoding
      ? ResidualDepthwiseConv(scope["pos_embed"], width, kernel: 3) : nil
    norm1 = GroupNorm(scope["norm"], width)
    (entry, mixer) = configuration.mixer.make(scope["op"], stage, at: place)
    norm2 = GroupNorm(scope["norm2"], width)
    let hidden = Int(configuration.expansion * Double(width))
    switch configuration.feedForward {
    case .convolutional: feedForward = ConvFeedForward(scope["mlp"], width, hidden: hidden)
    case .linear: feedForward = LinearFeedForward(scope["mlp"], width, hidden: hidden)
    }
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

/// What precedes the mixer: an aggregator in a ganglion layer, in an ordinary one a projection or nothing.
enum SparXEntry {
  case identity
  case projection(Conv2d)
  case aggregator(any CrossLayerAggregator)

  /// An entry that gives `outputs` channels; without a projection, the stage's own, if absent.
  init(_ scope: Scope, _ stage: SparX.Stage, sources: Int?, outputs: Int? = nil) {
    if let sources, sources > 0 {
      self = .aggregator(
        stage.connection.aggregator.make(
          scope, width: stage.width, sources: sources, outputs: outputs ?? stage.width))
    } else if let outputs {
      self = .projection(Conv2d(scope["in_proj"], stage.width, outputs, kernel: 1))
    } else {
      self = .identity
    }
  }

  func callAsFunction(_ x: Tensor, _ seen: Tensor?) -> Tensor {
    switch self {
    case .identity:
      return x
    case .projection(let project):
      return project(x)
    case .aggregator(let aggregate):
      guard let seen else { fatalError("a ganglion layer was given nothing to look at") }
      return aggregate(x, attending: seen)
    }
  }
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
