public import Layers
import Torch

/// Blocks that read the same positions by a selective scan and by attention, and weigh the two by a learned gate.
///
/// Our design: no paper defines it. What is given is the gate, in a description without authors of a
/// "Mamba-Transformer block": a Mamba m and a transformer's encoder layer t read the same input x, and
/// y = g ⊙ m + (1 - g) ⊙ t with g = σ(W [m; t] + b). The rest is decided here:
/// - Note: the branches share one norm before them and have one shortcut around their mix; a feed-forward layer with a
///   norm and a shortcut of its own follows. The description has the encoder layer whole, normalised after its sums, as
///   one branch, and no shortcut around the scan.
/// - Note: m is Mamba's block (Gu & Dao, 2312.00752, section 3.4) and t is multi-head attention.
/// - Note: b starts at 0, so that both branches start with about half of the sum.
/// - Note: the feed-forward layer is twice as wide as the block, not four times, since the scan's branch is itself twice
///   as wide and gated.
/// - Note: the scan is causal, and a map becomes its sequence in one of four orders that the layers take in turns: by
///   rows, by rows backwards, by columns, by columns backwards (`ScanOrder`).
/// - Note: in a pyramid, attention of the first stages stays inside windows that are not shifted, with a learned bias for
///   each offset as in Swin: the scan beside it joins the windows. At 224 by 224 pixels, attention of all positions
///   would take 2 · 3136² · 64 multiply-adds in each block of stage 1, over four times the rest of the block; from
///   stage 3 on it takes less than its projections.
///
/// Letters: B batch, C width, H, W positions of a map, L = H · W.
public struct GatedHybrid: HierarchicalBackbone {
  /// How the image becomes maps.
  public enum Layout: Hashable, Sendable {
    /// One stage over patches of `side` by `side` pixels, with a learned vector for each place and attention among all.
    case patches(side: Int)
    /// Stages of maps, the first at a quarter of the image's size and each next one at half of that before. In the
    /// first `windowed` stages attention stays inside windows of `window` by `window` positions.
    case pyramid(windowed: Int, window: Int)
  }

  /// Everything that defines the network but its head.
  public struct Configuration: BackboneConfiguration {
    /// The blocks of each stage.
    public var depths: [Int]
    /// The channels of each stage.
    public var widths: [Int]
    /// How the image becomes maps.
    public var layout: Layout
    /// The channels of an attention head.
    public var headWidth = 32
    /// The states of each channel of the scan.
    public var states = 16
    /// The scan's inner width as a multiple of the stage's.
    public var scanExpansion = 2
    /// The positions that the scan's causal convolution sees.
    public var kernel = 4
    /// The feed-forward layer's hidden width as a multiple of the stage's.
    public var expansion = 2
    /// The drop-path rate of the last block; it rises linearly from 0.
    public var dropPath = 0.0
    /// The number of image channels.
    public var channels = 3

    /// Heads have one width.
    public var widthUnit: Int { headWidth }

    public func makeBackbone(_ scope: Scope, imageSize: (height: Int, width: Int), head: Head) -> any Backbone
    {
      GatedHybrid(scope, self, imageSize: imageSize, head: head)
    }

    /// A network of one stage over patches of `patch` by `patch` pixels.
    public init(depth: Int = 12, width: Int, patch: Int = 16) {
      depths = [depth]
      widths = [width]
      layout = .patches(side: patch)
    }

    /// A network of stages that halve the map; attention of the first two stays inside windows.
    public init(depths: [Int], widths: [Int], window: Int = 7) {
      self.depths = depths
      self.widths = widths
      layout = .pyramid(windowed: 2, window: window)
    }

    /// The side of a patch in pixels.
    var patch: Int {
      switch layout {
      case .patches(let side): side
      case .pyramid: 4
      }
    }

    /// The side of the windows that the attention of a stage stays in; `nil` for attention among all positions.
    func window(ofStage index: Int) -> Int? {
      guard case .pyramid(let windowed, let side) = layout, index < windowed else { return nil }
      return side
    }
  }

  /// One entry for each stage.
  public let featureInfo: [FeatureInfo]
  let stem: GatedHybridStem
  let stages: [Chain<GatedHybridBlock>]
  let downsamples: [PatchMerging?]
  let outputNorms: [LayerNorm]
  let classifier: MeanClassifier?

  /// Declares the network's parameters.
  ///
  /// - Parameters:
  ///   - scope: where they go.
  ///   - configuration: the network.
  ///   - imageSize: height and width of the images that the table of positions is for, in pixels, if there is one.
  ///   - head: what follows the last stage.
  public init(
    _ scope: Scope, _ configuration: Configuration, imageSize: (height: Int, width: Int), head: Head
  ) {
    let widths = configuration.widths
    guard let last = widths.last, configuration.depths.count == widths.count,
      widths.allSatisfy({ $0 % configuration.headWidth == 0 })
    else {
      fatalError(
        "GatedHybrid: expected a depth and a width for each stage, the widths multiples of "
          + "\(configuration.headWidth), got \(configuration.depths) and \(widths)")
    }
    stem = GatedHybridStem(scope, configuration, imageSize: imageSize)
    featureInfo = widths.enumerated().map {
      FeatureInfo(
        name: "stage\($0.offset + 1)", channels: $0.element, stride: configuration.patch << $0.offset)
    }
    let rates = configuration.dropPathRates
    var (before, stages, downsamples) = (0, [Chain<GatedHybridBlock>](), [PatchMerging?]())
    for (index, width) in widths.enumerated() {
      let place = scope["layers"][index].inStage(index)
      stages.append(
        Chain(place["blocks"], depth: rates[index].count) { scope, block in
          GatedHybridBlock(
            scope, configuration, width: width, window: configuration.window(ofStage: index),
            order: ScanOrder(ofLayer: before + block), dropPath: rates[index][block])
        })
      before += rates[index].count
      downsamples.append(
        index + 1 < widths.count
          ? PatchMerging(place["downsample"].inStage(index + 1), width, widths[index + 1]) : nil)
    }
    self.stages = stages
    self.downsamples = downsamples
    switch head {
    case .none:
      outputNorms = []
      classifier = nil
    case .classifier(let classes):
      outputNorms = []
      classifier = MeanClassifier(scope.afterBlocks, last, classes: classes)
    case .dense:
      outputNorms = widths.enumerated().map {
        LayerNorm(scope["outnorm\($0.offset)"].afterBlocks, $0.element)
      }
      classifier = nil
    }
  }

  func downsampled(_ map: Tensor, after stage: Int) -> Tensor { downsamples[stage](map) }

  /// Maps are `[B, H, W, C]` inside.
  func channelsFirst(_ map: Tensor) -> Tensor { map.permute(0, 3, 1, 2) }
}

/// The first map `[B, H, W, C]` of images `[B, channels, H·side, W·side]`, from patches with zeros below and to the right
/// where they reach over the edge.
enum GatedHybridStem: Layer {
  /// Patches with a learned vector for each place.
  case placed(TokenEmbedding)
  /// Patches and a norm.
  case normed(PatchEmbedding)

  init(_ scope: Scope, _ configuration: GatedHybrid.Configuration, imageSize: (height: Int, width: Int)) {
    let (channels, width) = (configuration.channels, configuration.widths[0])
    switch configuration.layout {
    case .patches(let side):
      self = .placed(
        TokenEmbedding(
          scope, channels: channels, width: width, patch: side, imageSize: imageSize, extra: .none,
          initializer: .fanInUniform(channels * side * side)))
    case .pyramid:
      self = .normed(
        PatchEmbedding(scope["patch_embed"], channels, width, side: configuration.patch))
    }
  }

  func callAsFunction(_ images: Tensor) -> Tensor {
    switch self {
    case .placed(let embedding):
      let (tokens, grid) = embedding(images)
      return tokens.reshape(tokens.size(0), grid.height, grid.width, tokens.size(2))
    case .normed(let embedding): return embedding(images)
    }
  }
}

/// The gated mix of scan and attention and a feed-forward layer, each after a norm and around a shortcut.
///
/// From `[B, H, W, C]` to the same.
struct GatedHybridBlock: Layer {
  let norm1: LayerNorm
  let mixer: GatedMixer
  let dropPath1: DropPath
  let norm2: LayerNorm
  let feedForward: FeedForward
  let dropPath2: DropPath

  init(
    _ scope: Scope, _ configuration: GatedHybrid.Configuration, width: Int, window: Int?, order: ScanOrder,
    dropPath: Double
  ) {
    norm1 = LayerNorm(scope["norm1"], width)
    mixer = GatedMixer(scope["mixer"], configuration, width: width, window: window, order: order)
    dropPath1 = DropPath(scope["drop_path1"], rate: dropPath)
    norm2 = LayerNorm(scope["norm2"], width)
    feedForward = FeedForward(scope["mlp"], width, hidden: configuration.expansion * width)
    dropPath2 = DropPath(scope["drop_path2"], rate: dropPath)
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    let y = x + dropPath1(mixer(norm1(x)))
    return y + dropPath2(feedForward(norm2(y)))
  }
}

/// Scan m and attention t of the same map, mixed by a gate: g ⊙ m + (1 - g) ⊙ t with g = σ(W [m; t] + b).
///
/// From `[B, H, W, C]` to the same.
struct GatedMixer: Layer {
  let order: ScanOrder
  let scan: BidirectionalMixer
  let attention: GridAttention
  let gate: Linear

  init(
    _ scope: Scope, _ configuration: GatedHybrid.Configuration, width: Int, window: Int?, order: ScanOrder
  ) {
    self.order = order
    var mamba = VisionMamba.Configuration(depth: configuration.depths.reduce(0, +), width: width)
    mamba.directions = .forward
    mamba.states = configuration.states
    mamba.expansion = configuration.scanExpansion
    mamba.kernel = configuration.kernel
    scan = BidirectionalMixer(scope["scan"], mamba)
    attention = GridAttention(
      scope["attn"], width, heads: width / configuration.headWidth, window: window)
    gate = Linear(scope["gate"], 2 * width, width)
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    let m = order.map(of: scan(order.sequence(of: x)), height: x.size(1), width: x.size(2))
    let t = attention(x)
    let g = gate(concatenate([m, t], along: 3)).sigmoid()
    return t + g * (m - t)
  }
}

/// Attention of the positions of a map `[B, H, W, C]` to each other.
enum GridAttention: Layer {
  /// Of all positions.
  case everywhere(MultiHeadAttention)
  /// Of those of a window; windows that reach over the map's edge see zeros there, as Swin's.
  case windows(WindowAttention)

  init(_ scope: Scope, _ width: Int, heads: Int, window: Int?) {
    self =
      window.map { .windows(WindowAttention(scope, width, heads: heads, side: $0, shift: .none)) }
      ?? .everywhere(MultiHeadAttention(scope, width, heads: heads))
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    switch self {
    case .everywhere(let attention): attention(x.flatten(from: 1, to: 2)).reshape(x.shape)
    case .windows(let attention): attention(x)
    }
  }
}

/// In which order a causal scan reads the positions of a map; layers take them in turns, so that each position's past
/// comes from all sides within four layers.
enum ScanOrder: CaseIterable {
  /// Row by row.
  case rows
  /// Row by row from the last position to the first.
  case rowsBackwards
  /// Column by column.
  case columns
  /// Column by column from the last position to the first.
  case columnsBackwards

  /// The order of a layer, counted from 0 over the whole network.
  init(ofLayer index: Int) { self = Self.allCases[index % Self.allCases.count] }

  /// The sequence `[B, L, C]` of a map `[B, H, W, C]`.
  func sequence(of map: Tensor) -> Tensor {
    switch self {
    case .rows: map.flatten(from: 1, to: 2)
    case .rowsBackwards: map.flatten(from: 1, to: 2).flip(1)
    case .columns: map.transpose(1, 2).flatten(from: 1, to: 2)
    case .columnsBackwards: map.transpose(1, 2).flatten(from: 1, to: 2).flip(1)
    }
  }

  /// The map `[B, H, W, C]` of a sequence `[B, L, C]`.
  func map(of sequence: Tensor, height: Int, width: Int) -> Tensor {
    let (B, _, C) = sequence.shape3
    return switch self {
    case .rows: sequence.reshape(B, height, width, C)
    case .rowsBackwards: sequence.flip(1).reshape(B, height, width, C)
    case .columns: sequence.reshape(B, width, height, C).transpose(1, 2)
    case .columnsBackwards: sequence.flip(1).reshape(B, width, height, C).transpose(1, 2)
    }
  }
}
