public import Layers
import Torch

/// TransXNet: a hierarchical backbone whose layers convolve one half of their channels with kernels made for the image,
/// and let the other half attend to a reduced map.
///
/// Lou et al., "TransXNet: Learning Both Global and Local Dynamics With a Dual Dynamic Token Mixer for Visual
/// Recognition" (2310.19380), section 3, table 1. The authors' code (LMMMEng/TransXNet models/transxnet.py at ce2c73d)
/// decides numbers; where it differs from the paper:
/// - Note: the first half of the channels is convolved and the second attends; the paper names them the other way round.
/// - Note: the dynamic convolution has a bias, mixed as its kernel is, from the mean over positions.
/// - Note: the 1x1 convolution of the spatial reduction is depthwise too, so channels do not meet there.
/// - Note: the biases of queries by keys are one table for each stage, which its layers share; for another number of
///   positions it is resized as a picture of queries by keys.
/// - Note: the token enhancer and the feed-forward layer normalise batches after their activations, and the feed-forward
///   layer's depthwise convolutions have a shortcut of their own.
/// - Note: both branches of a layer are scaled by a learned factor for each channel, from 1e-5, with an offset.
///
/// Letters: B batch, C width of a stage, G kernels that are mixed, h heads, H, W positions, K side of the mixed kernels,
/// L = H·W queries, M keys of the reduced map.
public struct TransXNet: HierarchicalBackbone {
  /// What a stage is made of.
  public struct Stage: Hashable, Sendable {
    /// The number of layers.
    public var depth: Int
    /// The number of channels.
    public var width: Int
    /// The heads of the half that attends.
    public var heads: Int
    /// The stride of the reduction of keys and values; 1 for none.
    public var reduction: Int
    /// The kernels that the dynamic convolution mixes, at least 2.
    public var kernels: Int
    /// The feed-forward layer's hidden width as a multiple of the stage's.
    public var expansion: Int

    /// A stage of these parts.
    public init(depth: Int, width: Int, heads: Int, reduction: Int, kernels: Int = 2, expansion: Int = 4) {
      self.depth = depth
      self.width = width
      self.heads = heads
      self.reduction = reduction
      self.kernels = kernels
      self.expansion = expansion
    }
  }

  /// Everything that defines the network but its head.
  public struct Configuration: BackboneConfiguration {
    /// The stages, from fine to coarse.
    public var stages: [Stage]
    /// The side of the dynamic convolution's kernels in pixels.
    public var kernel = 7
    /// What the learned scale of the branches starts from.
    public var branchScale = 1e-5
    /// The side in pixels of the square images that the tables of biases are for; `nil` for the model's own images.
    public var tableSize: Int?
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
    /// Half the channels divide into the heads of any stage.
    public var widthUnit: Int {
      func commonDivisor(_ a: Int, _ b: Int) -> Int { b == 0 ? a : commonDivisor(b, a % b) }
      return stages.map { 2 * $0.heads }.reduce(1) { $0 / commonDivisor($0, $1) * $1 }
    }

    public func makeBackbone(_ scope: Scope, imageSize: (height: Int, width: Int), head: Head) -> any Backbone
    {
      TransXNet(scope, self, imageSize: tableSize.map { ($0, $0) } ?? imageSize, head: head)
    }

    /// A network of these stages.
    public init(stages: [Stage]) { self.stages = stages }

    /// The published layout: four stages with reductions 8, 4, 2, 1.
    ///
    /// - Parameters:
    ///   - depths: layers of each stage.
    ///   - widths: channels of each stage.
    ///   - heads: heads of each stage.
    ///   - kernels: mixed kernels of each stage.
    ///   - expansions: hidden widths of the feed-forward layers as multiples of the stages'.
    /// - Returns: the configuration.
    public static func published(
      depths: [Int], widths: [Int], heads: [Int], kernels: [Int], expansions: [Int]
    ) -> Configuration {
      if ![depths, widths, heads, kernels, expansions].allSatisfy({ $0.count == 4 }) {
        fatalError("TransXNet.Configuration.published: expected 4 values of each kind, one for each stage")
      }
      return Configuration(
        stages: (0..<4).map {
          Stage(
            depth: depths[$0], width: widths[$0], heads: heads[$0], reduction: 8 >> $0, kernels: kernels[$0],
            expansion: expansions[$0])
        })
    }
  }

  /// One entry for each stage.
  public let featureInfo: [FeatureInfo]
  let stem: ConvNorm
  let stages: [TransXNetStage]
  let downsamples: [ConvNorm?]
  let outputNorms: [GroupNorm]
  let classifier: TransXNetClassifier?

  /// Declares the network's parameters under their published keys.
  ///
  /// - Parameters:
  ///   - scope: where they go.
  ///   - configuration: the network.
  ///   - imageSize: height and width in pixels of the images that the tables of biases are for.
  ///   - head: what follows the last stage.
  public init(
    _ scope: Scope, _ configuration: Configuration, imageSize: (height: Int, width: Int), head: Head
  ) {
    let widths = configuration.widths
    guard let first = widths.first, let last = widths.last else {
      fatalError("TransXNet: a network needs stages")
    }
    featureInfo = FeatureInfo.pyramid(widths)
    let projection = scope["patch_embed.proj"]
    stem = ConvNorm(
      conv: projection["conv"], norm: projection["bn"], configuration.channels, first, kernel: 7, stride: 4)
    projection["conv"].adapts("weight", as: .imageChannels)
    let tables = configuration.stages.enumerated().map { index, stage in
      PositionBias(
        scope["relative_pos_enc"].inStage(index), "\(index)", heads: stage.heads, reduction: stage.reduction,
        height: imageSize.height.dividedUp(by: 4 << index), width: imageSize.width.dividedUp(by: 4 << index))
    }
    let network = scope["network"]
    let rates = configuration.dropPathRates
    var stages: [TransXNetStage] = []
    var downsamples: [ConvNorm?] = []
    for (index, stage) in configuration.stages.enumerated() {
      stages.append(
        TransXNetStage(network[2 * index].inStage(index), depth: stage.depth, table: tables[index]) {
          scope, layer in
          TransXNetBlock(scope, stage, configuration, dropPath: rates[index][layer])
        })
      let place = network[2 * index + 1]["proj"].inStage(index + 1)
      downsamples.append(
        index + 1 < widths.count
          ? ConvNorm(
            conv: place["conv"], norm: place["bn"], stage.width, widths[index + 1], kernel: 3, stride: 2)
          : nil
      )
    }
    self.stages = stages
    self.downsamples = downsamples
    switch head {
    case .none:
      outputNorms = []
      classifier = nil
    case .classifier(let classes):
      outputNorms = []
      classifier = TransXNetClassifier(scope["classifier"].afterBlocks, last, classes: classes)
    case .dense:
      outputNorms = widths.enumerated().map {
        GroupNorm(scope["norm\(2 * $0.offset)"].afterBlocks, $0.element)
      }
      classifier = nil
    }
  }

  func downsampled(_ map: Tensor, after stage: Int) -> Tensor { downsamples[stage](map) }
}

/// The layers of a stage and the table of biases that they share.
struct TransXNetStage: Layer {
  let blocks: [TransXNetBlock]
  let table: PositionBias
  private let parameters: [[Tensor]]
  private let mode: Mode

  init(
    _ scope: Scope, depth: Int, table: PositionBias, make: (_ scope: Scope, _ index: Int) -> TransXNetBlock
  ) {
    blocks = (0..<depth).map { make(scope[$0].inBlock($0), $0) }
    parameters = (0..<depth).map { scope.store.parameters(in: scope[$0]) }
    mode = scope.mode
    self.table = table
  }

  func callAsFunction(_ input: Tensor) -> Tensor {
    let (_, _, H, W) = input.shape4
    let bias = table(height: H, width: W)
    return zip(blocks, parameters).reduce(input) { x, layer in
      let (block, parameters) = layer
      guard mode.usesCheckpointing else { return block(x, bias: bias) }
      return checkpoint([x, bias], parameters: parameters) { [block($0[0], bias: $0[1])] }[0]
    }
  }
}

/// Position encoding, token mixer and feed-forward layer, the last two in scaled branches.
///
/// Lou et al. (2310.19380), section 3.1: DPE, D-Mixer, MS-FFN.
struct TransXNetBlock {
  let position: ResidualDepthwiseConv
  let norm1: GroupNorm
  let mixer: DualTokenMixer
  let norm2: GroupNorm
  let feedForward: MultiScaleFeedForward
  let scale1: ChannelScale
  let scale2: ChannelScale
  let dropPath1: DropPath
  let dropPath2: DropPath

  init(_ scope: Scope, _ stage: TransXNet.Stage, _ configuration: TransXNet.Configuration, dropPath: Double) {
    let width = stage.width
    position = ResidualDepthwiseConv(scope["pos_embed"], width, kernel: 7)
    norm1 = GroupNorm(scope["norm1"], width)
    mixer = DualTokenMixer(scope["token_mixer"], stage, kernel: configuration.kernel)
    norm2 = GroupNorm(scope["norm2"], width)
    feedForward = MultiScaleFeedForward(scope["mlp"], width, hidden: stage.expansion * width)
    scale1 = ChannelScale(scope["layer_scale_1"], width, initialValue: configuration.branchScale)
    scale2 = ChannelScale(scope["layer_scale_2"], width, initialValue: configuration.branchScale)
    dropPath1 = DropPath(scope["drop_path_1"], rate: dropPath)
    dropPath2 = DropPath(scope["drop_path_2"], rate: dropPath)
  }

  /// The next map of x `[B, C, H, W]`, given the stage's biases `[1, h, L, M]`.
  func callAsFunction(_ x: Tensor, bias: Tensor) -> Tensor {
    let x = position(x)
    let y = x + dropPath1(scale1(mixer(norm1(x), bias: bias)))
    return y + dropPath2(scale2(feedForward(norm2(y))))
  }
}

/// A norm, the mean over positions and a linear layer, published as a 1x1 convolution.
struct TransXNetClassifier: Layer {
  let norm: GroupNorm
  let linear: Conv2d

  init(_ scope: Scope, _ width: Int, classes: Int) {
    norm = GroupNorm(scope[0], width)
    linear = Conv2d(scope[2], width, classes, kernel: 1)
    for name in ["weight", "bias"] { scope[2].adapts(name, as: .classes) }
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    linear(norm(x).mean(2, 3, keepDimensions: true)).flatten(from: 1)
  }
}
