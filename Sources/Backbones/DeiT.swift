public import Layers
public import Torch

/// DeiT: the plain vision transformer, trained on ImageNet-1K alone.
///
/// Touvron et al., "Training data-efficient image transformers & distillation through attention" (2012.12877), section
/// 3 and table 1; the network is Dosovitskiy et al., "ViT" (2010.11929). The authors' code
/// (facebookresearch/deit models.py over timm's vision_transformer.py) decides numbers; where it differs from the paper:
/// - Note: images of another size get the table of positions by an antialiased bicubic filter, as in timm today; the paper
///   (section 3) uses a plain one.
/// - Note: without distillation there is no distillation token, so the published models have one class token.
///
/// Letters: B batch, C width, L tokens, H, W pixels.
public struct DeiT: Backbone {
  /// Everything that defines the network but its head.
  public struct Configuration: BackboneConfiguration {
    /// The number of blocks.
    public var depth: Int
    /// The channels of a token.
    public var width: Int
    /// The channels of an attention head.
    public var headWidth = 64
    /// The side of a patch in pixels.
    public var patch = 16
    /// The feed-forward layer's hidden width as a multiple of the width.
    public var expansion = 4
    /// The drop-path rate of the last block; it rises linearly from 0.
    public var dropPath = 0.0
    /// The number of image channels.
    public var channels = 3

    /// The number of blocks: one stage.
    public var depths: [Int] {
      get { [depth] }
      set { depth = newValue[0] }
    }
    /// The channels of a token: one stage.
    public var widths: [Int] {
      get { [width] }
      set { width = newValue[0] }
    }
    /// Heads have a fixed width.
    public var widthUnit: Int { headWidth }

    public func makeBackbone(_ scope: Scope, imageSize: (height: Int, width: Int), head: Head) -> any Backbone
    {
      DeiT(scope, self, imageSize: imageSize, head: head)
    }

    /// A network of that depth and width.
    public init(depth: Int = 12, width: Int) {
      self.depth = depth
      self.width = width
    }
  }

  /// One entry: the positions after the last block and the norm.
  public let featureInfo: [FeatureInfo]
  let embedding: TokenEmbedding
  let blocks: Chain<DeiTBlock>
  let norm: LayerNorm
  let classifier: Linear?

  /// Declares the network's parameters under their published keys.
  ///
  /// - Parameters:
  ///   - scope: where they go.
  ///   - configuration: the network.
  ///   - imageSize: height and width of the images that the table of positions is for, in pixels.
  ///   - head: what follows the last block.
  public init(
    _ scope: Scope, _ configuration: Configuration, imageSize: (height: Int, width: Int), head: Head
  ) {
    let width = configuration.width
    if width % configuration.headWidth != 0 {
      fatalError("DeiT: \(width) channels do not divide into heads of \(configuration.headWidth)")
    }
    featureInfo = [FeatureInfo(name: "stage1", channels: width, stride: configuration.patch)]
    embedding = TokenEmbedding(
      scope, channels: configuration.channels, width: width, patch: configuration.patch, imageSize: imageSize,
      extra: .leading(1),
      initializer: .fanInUniform(configuration.channels * configuration.patch * configuration.patch))
    let rates = configuration.dropPathRates[0]
    blocks = Chain(scope["blocks"], depth: configuration.depth) { scope, index in
      DeiTBlock(scope, configuration, dropPath: rates[index])
    }
    norm = LayerNorm(scope["norm"].afterBlocks, width, epsilon: 1e-6)
    switch head {
    case .none, .dense: classifier = nil
    case .classifier(let classes):
      classifier = .classifier(scope["head"].afterBlocks, width, classes: classes)
    }
  }

  public func features(of images: Tensor) -> [Tensor] {
    let (tokens, grid) = tokens(of: images)
    return [grid.map(of: tokens)]
  }

  /// The tokens `[B, L, C]` after each quarter of the blocks.
  public func intermediates(of images: Tensor) -> [Tensor] {
    let outputs = blocks.outputs(of: embedding(images).tokens)
    let ends: [Int] = (1...4).map { outputs.count * $0 / 4 }.filter { $0 > 0 }
    return ends.map { outputs[$0 - 1] }
  }

  public func callAsFunction(_ images: Tensor) -> Tensor {
    let (tokens, grid) = tokens(of: images)
    guard let classifier else { return grid.map(of: tokens) }
    return OperationCounter.region("head") { classifier(tokens[..., 0]) }
  }

  /// The tokens `[B, L, C]` after the last block and the norm.
  private func tokens(of images: Tensor) -> (Tensor, PositionGrid) {
    let (tokens, grid) = OperationCounter.region("stem") { embedding(images) }
    return (OperationCounter.region("stage1") { norm(blocks(tokens)) }, grid)
  }
}

/// Attention and a feed-forward layer, each with a norm before it and a shortcut around both.
struct DeiTBlock: Layer {
  let norm1: LayerNorm
  let attention: MultiHeadAttention
  let dropPath1: DropPath
  let norm2: LayerNorm
  let feedForward: FeedForward
  let dropPath2: DropPath

  init(_ scope: Scope, _ configuration: DeiT.Configuration, dropPath: Double) {
    let width = configuration.width
    norm1 = LayerNorm(scope["norm1"], width, epsilon: 1e-6)
    attention = MultiHeadAttention(scope["attn"], width, heads: width / configuration.headWidth)
    dropPath1 = DropPath(scope["drop_path1"], rate: dropPath)
    norm2 = LayerNorm(scope["norm2"], width, epsilon: 1e-6)
    feedForward = FeedForward(scope["mlp"], width, hidden: configuration.expansion * width)
    dropPath2 = DropPath(scope["drop_path2"], rate: dropPath)
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    let y = x + dropPath1(attention(norm1(x)))
    return y + dropPath2(feedForward(norm2(y)))
  }
}
