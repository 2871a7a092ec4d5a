import Layers
import Torch

/// DMCA with attention over positions in place of channels: every position of the layer's own features queries those of
/// what it sees, reduced in space.
///
/// Lou, Fu & Yu (2409.09649), section 4.4, table 6. With one reduction it is "SRA", the spatial-reduction attention of Wang
/// et al., "PVT" (2102.12122), section 3.3, and "PVT v2" (2106.13797): keys and values are reduced, queries are not. With
/// several it is "CSA", after the cross-scale attention of Shang et al. (2308.05872): keys and values at several scales.
/// - Note: No code was published. The paper replaces the attention of DMCA, so what precedes and follows it is DMCA's, and
///   the attended map is concatenated with X and Y_v as in the paper's text: the values themselves are smaller.
/// - Note: Keys and values are reduced by DMCA's depthwise convolutions, which take maps of every size, where PVT has
///   windows that do not overlap and a layer norm. There are as many heads as DMCA has groups.
/// - Note: Shang et al. attend across a network's stages; here the scales are of the maps that one layer sees. Ours: each
///   scale has heads of its own, an equal share of them.
///
/// Letters: B batch, C channels, h heads, H, W positions, S maps seen.
public struct SpatialAttentionAggregator: CrossLayerAggregator {
  /// What may be varied.
  public struct Configuration: Hashable, Sendable {
    /// The parts of the channels that attend on their own; a multiple of the number of scales.
    public var heads = 4
    /// The stride of the reduction of keys and values at each scale, even or 1.
    public var reductions: [Int]

    /// Attention at those reductions.
    public init(reductions: [Int]) { self.reductions = reductions }
  }

  /// The keys and values of one scale.
  struct Scale {
    let key: ReducedProjection
    let value: ReducedProjection
  }

  let project: SeenProjection
  let query: ConvNorm
  let scales: [Scale]
  let join: ChannelJoin
  let output: JoinedProjection
  let headsPerScale: Int

  init(_ scope: Scope, _ configuration: Configuration, width: Int, sources: Int, outputs: Int) {
    let (heads, reductions) = (configuration.heads, configuration.reductions)
    if reductions.isEmpty || heads < 1 || heads % reductions.count != 0 || width % heads != 0 {
      fatalError(
        "spatial attention `\(scope.key)`: \(width) channels do not divide into \(heads) heads of \(reductions.count) "
          + "scales")
    }
    if let other = reductions.first(where: { $0 != 1 && ($0 < 1 || $0 % 2 != 0) }) {
      fatalError("spatial attention `\(scope.key)`: a reduction must be even or 1, got \(other)")
    }
    headsPerScale = heads / reductions.count
    project = SeenProjection(scope, width, sources: sources, outputs: 2 * width)
    query = ConvNorm(conv: scope["q.0"], norm: scope["q.1"], width, width, kernel: 1)
    scales = reductions.enumerated().map { index, reduction in
      func reduced(_ scope: Scope) -> ReducedProjection {
        ReducedProjection(
          scope[index], width, outputs: width / reductions.count, reduction: reduction)
      }
      return Scale(key: reduced(scope["k"]), value: reduced(scope["v"]))
    }
    join = ChannelJoin(scope)
    output = JoinedProjection(scope["in_proj"], width, parts: 3, outputs: outputs)
  }

  func callAsFunction(_ x: Tensor, attending seen: Tensor) -> Tensor {
    let (B, C, H, W) = x.shape4
    let keysAndValues = project(seen).chunk(2, along: 1)
    let queries = query(x).chunk(scales.count, along: 1)
    let attended = zip(scales, queries).map { scale, q in
      Tensor.attention(
        query: tokens(q), key: tokens(scale.key(keysAndValues[0])),
        value: tokens(scale.value(keysAndValues[1]))
      ).transpose(2, 3).reshape(B, C / scales.count, H, W)
    }
    return output([x, join(attended), keysAndValues[1]])
  }

  /// The positions of a map as tokens of each head, `[B, h, positions, channels / h]`.
  ///
  /// Channels lie beside each other in memory: LibTorch's attention kernels ask for that, and the general path that it
  /// otherwise takes holds all products of queries and keys.
  private func tokens(_ x: Tensor) -> Tensor {
    let (B, C, H, W) = x.shape4
    return x.reshape(B, headsPerScale, C / headsPerScale, H * W).transpose(2, 3).contiguous()
  }
}
