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

  let norm: GroupNorm
  let mix: ConvNorm
  let project: Conv2d
  let query: ReducedProjection
  let key: ReducedProjection
  let value: ConvNorm
  let join: ShuffledJoin
  let depthwise: Conv2d
  let output: Conv2d
  let groups: Int
  let shortcut: Configuration.Shortcut
  let missingChannels: Int

  init(_ scope: Scope, _ configuration: Configuration, width: Int, sources: Int, outputs: Int) {
    groups = configuration.groups
    shortcut = configuration.shortcut
    if width % groups != 0 {
      fatalError("DMCA `\(scope.key)`: \(width) channels do not divide into \(groups) groups")
    }
    let seen = sources * width
    let reduction = configuration.reduction
    norm = GroupNorm(scope["d_norm"], seen)
    mix = ConvNorm(
      conv: scope["d_proj.0"], norm: scope["d_proj.1"], seen, seen, kernel: 3, groups: seen, activation: .gelu
    )
    project = Conv2d(scope["d_proj.3"], seen, 2 * width, kernel: 1, activation: .gelu)
    query = ReducedProjection(scope["q"], width, reduction: reduction)
    key = ReducedProjection(scope["k"], width, reduction: reduction)
    value = ConvNorm(conv: scope["v.0"], norm: scope["v.1"], width, width, kernel: 1)
    let parts = shortcut == .queryAndValue ? 3 : 1
    join = ShuffledJoin(scope, channels: parts * width, parts: parts)
    depthwise = Conv2d(
      scope["in_proj.0"], parts * width, parts * width, kernel: 3, groups: parts * width, activation: .gelu)
    output = Conv2d(scope["in_proj.2"], parts * width, outputs / parts * parts, kernel: 1, groups: parts)
    missingChannels = outputs - outputs / parts * parts
  }

  func callAsFunction(_ x: Tensor, attending seen: Tensor) -> Tensor {
    let (B, C, H, W) = x.shape4
    let keysAndValues = project(mix(norm(seen))).chunk(2, along: 1)
    let q = query(x)  // [B, C, h, w]
    let k = key(keysAndValues[0])
    let v = value(keysAndValues[1])  // [B, C, H, W]
    let attended = Tensor.attention(
      query: q.reshape(B * groups, C / groups, q.size(2) * q.size(3)),
      key: k.reshape(B * groups, C / groups, k.size(2) * k.size(3)),
      value: v.reshape(B * groups, C / groups, H * W)
    ).reshape(B, C, H, W)
    let joined: Tensor
    switch shortcut {
    case .queryAndValue:
      let own = (q.size(2), q.size(3)) == (H, W) ? q : x
      joined = join([own, attended, v])  // [B, 3C, H, W]
    case .none:
      joined = attended
    }
    return padded(output(depthwise(joined)))
  }

  private func padded(_ x: Tensor) -> Tensor {
    switch missingChannels {
    case 0: return x
    case 1: return join.plain([x, x.mean(1, keepDimensions: true)])
    default:
      let (B, _, H, W) = x.shape4
      let means = x.permute(0, 2, 3, 1).flatten(from: 1, to: 2)  // [B, H·W, C]
        .adaptiveAveragePool1d(missingChannels)
        .transpose(1, 2).reshape(B, missingChannels, H, W)
      return join.plain([x, means])
    }
  }
}

/// A spatial reduction by a strided depthwise convolution, then a 1x1 projection with batch normalisation.
struct ReducedProjection: Layer {
  let reduce: ConvNorm?
  let project: ConvNorm

  init(_ scope: Scope, _ width: Int, reduction: Int) {
    reduce =
      reduction > 1
      ? ConvNorm(
        conv: scope["0.0"], norm: scope["0.1"], width, width, kernel: reduction + 1, stride: reduction,
        groups: width, activation: .gelu) : nil
    project = ConvNorm(conv: scope["1"], norm: scope["2"], width, width, kernel: 1)
  }

  func callAsFunction(_ x: Tensor) -> Tensor { project(reduce(x)) }
}
