import Layers
import Torch

/// The dynamic multi-layer channel aggregator (DMCA): attention over channels, queried by the layer's own features.
///
/// Lou, Fu & Yu, "SparX" (2409.09649), section 3.1, figure 3; the code decides where they differ
/// (LMMMEng/SparX models/sparx_mamba.py at 1e84174):
/// - Note: The paper divides the softmax by √(N/r); the code divides its argument, with N/r the positions of the
///   reduced query, as attention does.
/// - Note: The paper concatenates X, Y_v and Z; the code concatenates X, Z and the projected values V, in that order, and
///   takes the projected query for X where the reduction leaves the map's size as it is. That rule is about sizes: a 1x1
///   map takes it whatever the reduction.
/// - Note: The code shuffles channels and projects in three groups, so the output count is the largest multiple of 3;
///   missing channels are the mean over channels (1) or an adaptive average over channels (2).
///
/// Letters: B batch, C channels, G attention groups, H, W positions, n reduced positions, S maps seen.
public struct DynamicChannelAggregator: CrossLayerAggregator {
  /// What may be varied.
  public struct Configuration: Hashable, Sendable {
    /// The parts that channels attend in.
    public var groups = 4
    /// The stride of the spatial reduction of queries and keys; 1 for none (the ablation "w/o SR").
    public var reduction: Int
    /// What the attention's output is concatenated with before the last projection.
    public var shortcut: Shortcut = .queryAndValue

    /// What the attention's output is concatenated with.
    public enum Shortcut: Hashable, Sendable {
      /// The layer's own features and the values.
      case queryAndValue
      /// Nothing (the ablation "w/o Skip").
      case none
    }

    /// The published aggregator with that reduction.
    public init(reduction: Int) { self.reduction = reduction }
  }

  let project: SeenProjection
  let query: ReducedProjection
  let key: ReducedProjection
  let value: ConvNorm
  let output: JoinedProjection
  let groups: Int
  let shortcut: Configuration.Shortcut

  init(_ scope: Scope, _ configuration: Configuration, width: Int, sources: Int, outputs: Int) {
    groups = configuration.groups
    shortcut = configuration.shortcut
    if width % groups != 0 {
      fatalError("DMCA `\(scope.key)`: \(width) channels do not divide into \(groups) groups")
    }
    let reduction = configuration.reduction
    project = SeenProjection(scope, width, sources: sources, outputs: 2 * width)
    query = ReducedProjection(scope["q"], width, reduction: reduction)
    key = ReducedProjection(scope["k"], width, reduction: reduction)
    value = ConvNorm(conv: scope["v.0"], norm: scope["v.1"], width, width, kernel: 1)
    output = JoinedProjection(
      scope["in_proj"], width, parts: shortcut == .queryAndValue ? 3 : 1, outputs: outputs)
  }

  func callAsFunction(_ x: Tensor, attending seen: Tensor) -> Tensor {
    let (B, C, H, W) = x.shape4
    let keysAndValues = project(seen).chunk(2, along: 1)
    let q = query(x)  // [B, C, h, w]
    let k = key(keysAndValues[0])
    let v = value(keysAndValues[1])  // [B, C, H, W]
    let attended =
      x.device.isCUDA
      ? attendedOnGPU(q, k, v)
      : Tensor.attention(
        query: q.reshape(B * groups, C / groups, q.size(2) * q.size(3)),
        key: k.reshape(B * groups, C / groups, k.size(2) * k.size(3)),
        value: v.reshape(B * groups, C / groups, H * W)
      ).reshape(B, C, H, W)
    switch shortcut {
    case .queryAndValue:
      let own = (q.size(2), q.size(3)) == (H, W) ? q : x
      return output([own, attended, v])
    case .none:
      return output([attended])
    }
  }

  /// The attention of all channels to all, with weights of zero outside a channel's group, over maps stored channels last:
  /// three products of whole maps as they lie, where groups apart would be copied.
  private func attendedOnGPU(_ q: Tensor, _ k: Tensor, _ v: Tensor) -> Tensor {
    let (B, C, H, W) = v.shape4
    func pixels(_ map: Tensor) -> Tensor {
      map.contiguous(.channelsLast).permute(0, 2, 3, 1).flatten(from: 1, to: 2)  // [B, L, C]
    }
    let queries = pixels(q)
    let weights = queries.transpose(1, 2).matmul(pixels(k))  // [B, C, C]
      .groupSoftmax(groups: groups, scale: 1 / Double(queries.size(1)).squareRoot())
    let attended = pixels(v).matmul(weights.transpose(1, 2))  // [B, L, C]
    return attended.reshape(B, H, W, C).permute(0, 3, 1, 2)
  }
}
