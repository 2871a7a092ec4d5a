public import Layers
import Torch

/// Swin Transformer: attention inside windows, which every other block shifts by half their side.
///
/// Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows" (2103.14030), section 3,
/// table 7. Keys are those of the authors' weights (microsoft/Swin-Transformer); where their code differs from the paper:
/// - Note: the classifier does not shift on a map that is no larger than a window, as the last one at 224 pixels; the
///   dense-prediction code always shifts odd blocks, so ``Head/dense`` gives another last map at the same weights.
/// - Note: pairs of positions that are no neighbours get -100 added to their product instead of being left out.
/// - Note: the classifier's code takes one image size only and shrinks windows to fit small maps. Here, as in the
///   dense-prediction code, any size is taken: windows keep their side, and maps are padded with zeros at the right and
///   the bottom after the first norm. Padded positions take part in the attention.
///
/// Letters: B batch, C width of a stage, H, W positions, s the side of a window, T = s² its positions, N windows.
public struct Swin: HierarchicalBackbone {
  /// Everything that defines the network but its head.
  public struct Configuration: BackboneConfiguration {
    /// The blocks of each stage.
    public var depths: [Int]
    /// The channels of each stage.
    public var widths: [Int]
    /// The channels of an attention head.
    public var headWidth = 32
    /// The side of a window in positions.
    public var window = 7
    /// The feed-forward layer's hidden width as a multiple of the stage's.
    public var expansion = 4
    /// The drop-path rate of the last block; it rises linearly from 0.
    public var dropPath = 0.0
    /// The number of image channels.
    public var channels = 3

    /// Heads have one width.
    public var widthUnit: Int { headWidth }

    /// A network of stages of these depths and widths.
    public init(depths: [Int], widths: [Int]) {
      self.depths = depths
      self.widths = widths
    }

    public func makeBackbone(_ scope: Scope, imageSize: (height: Int, width: Int), head: Head) -> any Backbone
    {
      Swin(scope, self, head: head)
    }
  }

  /// One entry for each stage.
  public let featureInfo: [FeatureInfo]
  let stem: PatchEmbedding
  let stages: [Chain<SwinBlock>]
  let downsamples: [PatchMerging?]
  let outputNorms: [LayerNorm]
  let classifier: MeanClassifier?

  /// Declares the network's parameters under their published keys.
  ///
  /// - Parameters:
  ///   - scope: where they go.
  ///   - configuration: the network.
  ///   - head: what follows the last stage.
  public init(_ scope: Scope, _ configuration: Configuration, head: Head) {
    let (depths, widths) = (configuration.depths, configuration.widths)
    guard let first = widths.first, let last = widths.last, depths.count == widths.count else {
      fatalError("Swin: expected a depth and a width for each stage, got \(depths) and \(widths)")
    }
    featureInfo = FeatureInfo.pyramid(widths)
    stem = PatchEmbedding(scope["patch_embed"], configuration.channels, first, side: 4)
    let rates = configuration.dropPathRates
    var stages: [Chain<SwinBlock>] = []
    var downsamples: [PatchMerging?] = []
    for (index, width) in widths.enumerated() {
      let place = scope["layers"][index].inStage(index)
      stages.append(
        Chain(place["blocks"], depth: depths[index]) { scope, block in
          SwinBlock(
            scope, configuration, width: width,
            shift: block % 2 == 0 ? .none : head == .dense ? .always : .largeMaps,
            dropPath: rates[index][block])
        })
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
        LayerNorm(scope["norm\($0.offset)"].afterBlocks, $0.element)
      }
      classifier = nil
    }
  }

  func downsampled(_ map: Tensor, after stage: Int) -> Tensor { downsamples[stage](map) }

  /// Maps are `[B, H, W, C]` inside.
  func channelsFirst(_ map: Tensor) -> Tensor { map.permute(0, 3, 1, 2) }
}

/// Attention inside windows and a feed-forward layer, each after a norm and around a shortcut.
///
/// Liu et al. (2103.14030), section 3.2, equation 3. From `[B, H, W, C]` to the same.
struct SwinBlock: Layer {
  let norm1: LayerNorm
  let attention: WindowAttention
  let dropPath1: DropPath
  let norm2: LayerNorm
  let feedForward: FeedForward
  let dropPath2: DropPath

  init(
    _ scope: Scope, _ configuration: Swin.Configuration, width: Int, shift: WindowShift, dropPath: Double
  ) {
    norm1 = LayerNorm(scope["norm1"], width)
    attention = WindowAttention(
      scope["attn"], width, heads: width / configuration.headWidth, side: configuration.window, shift: shift)
    dropPath1 = DropPath(scope["drop_path1"], rate: dropPath)
    norm2 = LayerNorm(scope["norm2"], width)
    feedForward = FeedForward(scope["mlp"], width, hidden: configuration.expansion * width)
    dropPath2 = DropPath(scope["drop_path2"], rate: dropPath)
    scope.derives("attn_mask")
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    let y = x + dropPath1(attention(norm1(x)))
    return y + dropPath2(feedForward(norm2(y)))
  }
}

/// When windows are shifted by half their side, so that they join what the block before kept apart.
enum WindowShift {
  /// Never.
  case none
  /// On maps that are larger than a window in both directions.
  case largeMaps
  /// On every map.
  case always
}

/// Attention among the positions of each window, with a learned bias for each offset between two of them.
///
/// Liu et al. (2103.14030), section 3.2, "Efficient batch computation" and equation 4. From `[B, H, W, C]` to the same.
struct WindowAttention: Layer {
  let side: Int
  let shift: WindowShift
  let heads: Int
  let attention: MultiHeadAttention
  let table: Tensor
  /// The table's row for each pair of positions, `[T · T]`.
  let offsets: Tensor
  private let masks = LatestMask()

  init(_ scope: Scope, _ width: Int, heads: Int, side: Int, shift: WindowShift) {
    self.side = side
    self.shift = shift
    self.heads = heads
    table = scope.relativePositionTable(
      "relative_position_bias_table", height: side, width: side, heads: heads)
    attention = MultiHeadAttention(scope, width, heads: heads)
    let positions = (0..<side * side).map { (row: $0 / side, column: $0 % side) }
    offsets = Tensor(
      positions.flatMap { query in
        positions.map { key in
          (query.row - key.row + side - 1) * (2 * side - 1) + query.column - key.column + side - 1
        }
      }
    ).to(device: scope.store.device)
    scope.derives("relative_position_index")
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    let (B, H, W, _) = x.shape4
    let grid = WindowGrid(height: H, width: W, side: side)
    let distance = distance(H, W)
    if distance == 0 {
      return grid.cropped(grid.map(of: attention(grid.windows(of: grid.padded(x)), bias: bias)))
    }
    let rolled = grid.padded(x).roll([-distance, -distance], along: [1, 2])
    let mask = masks.mask(height: H, width: W, x) { self.mask(grid, distance) }
    let (N, T) = (mask.size(0), side * side)
    let biases = (bias + mask).unsqueeze(0).expand([B, N, heads, T, T]).reshape(B * N, heads, T, T)
    let attended = attention(grid.windows(of: rolled), bias: biases)
    return grid.cropped(grid.map(of: attended).roll([distance, distance], along: [1, 2]))
  }

  private func distance(_ height: Int, _ width: Int) -> Int {
    switch shift {
    case .none: 0
    case .largeMaps: min(height, width) > side ? side / 2 : 0
    case .always: side / 2
    }
  }

  /// The bias of every pair, `[1, heads, T, T]`.
  private var bias: Tensor {
    table.indexSelect(0, offsets).transpose(0, 1).reshape(1, heads, side * side, side * side)
  }

  /// -100 for the pairs of a window that the shift brought together from opposite ends of the map, `[N, 1, T, T]`.
  private func mask(_ grid: WindowGrid, _ distance: Int) -> Tensor {
    func band(_ position: Int, of size: Int) -> Int {
      position < size - side ? 0 : position < size - distance ? 1 : 2
    }
    let (H, W) = (grid.paddedHeight, grid.paddedWidth)
    let regions = (0..<H).flatMap { row in
      (0..<W).map { column in Float(3 * band(row, of: H) + band(column, of: W)) }
    }
    let windows = grid.windows(of: Tensor(regions, [1, H, W, 1]))  // [N, T, 1]
    let differ = windows .!= windows.transpose(1, 2)  // [N, T, T]
    return Tensor.zeros(differ.shape).maskedFill(differ, -100).unsqueeze(1)
  }
}

/// The mask of the latest size of map: making it anew for each would hold up a GPU.
private final class LatestMask {
  private var latest: (height: Int, width: Int, mask: Tensor)?

  /// The mask for maps of that size, in the type and on the device of `x`.
  func mask(height: Int, width: Int, _ x: Tensor, _ make: () -> Tensor) -> Tensor {
    if let latest, (latest.height, latest.width) == (height, width), latest.mask.device == x.device,
      latest.mask.dtype == x.dtype
    {
      return latest.mask
    }
    let mask = make().to(device: x.device, dtype: x.dtype)
    latest = (height, width, mask)
    return mask
  }
}

/// Patches of pixels, each projected to a vector and normalised: from `[B, channels, H, W]` to `[B, H/side, W/side, C]`.
///
/// Images are padded with zeros at the right and the bottom to whole patches.
struct PatchEmbedding: Layer {
  let side: Int
  let project: Conv2d
  let norm: LayerNorm

  init(_ scope: Scope, _ channels: Int, _ width: Int, side: Int) {
    self.side = side
    project = Conv2d(
      scope["proj"], channels, width, kernel: side, stride: side, padding: 0,
      initializer: .fanInUniform(channels * side * side))
    scope["proj"].adapts("weight", as: .imageChannels)
    norm = LayerNorm(scope["norm"], width)
  }

  func callAsFunction(_ images: Tensor) -> Tensor {
    let (_, _, H, W) = images.shape4
    let (bottom, right) = ((side - H % side) % side, (side - W % side) % side)
    let whole = bottom + right == 0 ? images : images.padded([0, right, 0, bottom])
    return norm(project(whole).permute(0, 2, 3, 1))  // [B, H/side, W/side, C]
  }
}
