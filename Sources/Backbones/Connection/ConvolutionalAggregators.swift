import Layers
import Torch

/// Everything concatenated and fused by a convolutional feed-forward layer.
///
/// Lou, Fu & Yu (2409.09649), section 4.4, table 6: "Concat".
/// - Note: No code was published. The hidden width, twice the layer's, is ours: with S maps of C channels the layer has
///   (2S + 6)C² weights in its projections where DMCA has (2S + 5)C², the comparable complexity that the paper asks for.
struct ConcatenationAggregator: CrossLayerAggregator {
  let norm: GroupNorm
  let join: ChannelJoin
  let fuse: ConvFusion

  init(_ scope: Scope, width: Int, sources: Int, outputs: Int) {
    norm = GroupNorm(scope["d_norm"], sources * width)
    join = ChannelJoin(scope)
    fuse = ConvFusion(scope["d_proj"], (sources + 1) * width, hidden: 2 * width, outputs: outputs)
  }

  func callAsFunction(_ x: Tensor, attending seen: Tensor) -> Tensor { fuse(join([x, norm(seen)])) }
}

/// DMCA without its attention: query and values concatenated and fused by a convolutional feed-forward layer.
///
/// Lou, Fu & Yu (2409.09649), section 4.4, table 6: "w/o CGCA". Nothing is reduced in space, and the values are computed as
/// DMCA computes them.
/// - Note: No code was published. Ours: the query is DMCA's projection without its reduction; what is seen is projected to
///   values only, as nothing needs keys; the hidden width is the layer's, which keeps the network's size near DMCA's.
struct QueryValueAggregator: CrossLayerAggregator {
  let project: SeenProjection
  let query: ReducedProjection
  let value: ConvNorm
  let join: ChannelJoin
  let fuse: ConvFusion

  init(_ scope: Scope, width: Int, sources: Int, outputs: Int) {
    project = SeenProjection(scope, width, sources: sources, outputs: width)
    query = ReducedProjection(scope["q"], width, reduction: 1)
    value = ConvNorm(conv: scope["v.0"], norm: scope["v.1"], width, width, kernel: 1)
    join = ChannelJoin(scope)
    fuse = ConvFusion(scope["in_proj"], 2 * width, hidden: width, outputs: outputs)
  }

  func callAsFunction(_ x: Tensor, attending seen: Tensor) -> Tensor {
    fuse(join([query(x), value(project(seen))]))
  }
}
