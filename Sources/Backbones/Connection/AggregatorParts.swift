import Layers
import Torch

/// What begins every aggregator with an attention: a norm of all maps seen, a depthwise convolution and a projection.
///
/// Lou, Fu & Yu (2409.09649), section 3.1: W₁. From the maps joined along channels, `[B, S·C, H, W]`, to
/// `[B, outputs, H, W]`.
struct SeenProjection: Layer {
  let norm: GroupNorm
  let mix: ConvNorm
  let project: Conv2d

  init(_ scope: Scope, _ width: Int, sources: Int, outputs: Int) {
    let seen = sources * width
    norm = GroupNorm(scope["d_norm"], seen)
    mix = ConvNorm(
      conv: scope["d_proj.0"], norm: scope["d_proj.1"], seen, seen, kernel: 3, groups: seen, activation: .gelu
    )
    project = Conv2d(scope["d_proj.3"], seen, outputs, kernel: 1, activation: .gelu)
  }

  func callAsFunction(_ seen: Tensor) -> Tensor { project(mix(norm(seen))) }
}

/// An optional spatial reduction by a strided depthwise convolution, then a 1x1 projection with batch normalisation.
///
/// A map of H positions along a side gets ⌈H / reduction⌉, so no map is too small. The window is one wider than the
/// stride, which must be even or 1.
struct ReducedProjection: Layer {
  let reduce: ConvNorm?
  let project: ConvNorm

  init(_ scope: Scope, _ width: Int, outputs: Int? = nil, reduction: Int) {
    reduce =
      reduction > 1
      ? ConvNorm(
        conv: scope["0.0"], norm: scope["0.1"], width, width, kernel: reduction + 1, stride: reduction,
        groups: width, activation: .gelu) : nil
    project = ConvNorm(conv: scope["1"], norm: scope["2"], width, outputs ?? width, kernel: 1)
  }

  func callAsFunction(_ x: Tensor) -> Tensor { project(reduce(x)) }
}

/// What ends every aggregator with an attention: maps of C channels joined and shuffled, a depthwise convolution and a
/// projection in as many groups as there are maps.
///
/// The count of the projection's outputs is the largest multiple of the parts; missing channels are the mean over
/// channels (1) or an adaptive average over channels (2).
enum JoinedProjection {
  case steps(SteppedJoinedProjection)
  case product(DenseJoinedProjection)

  init(_ scope: Scope, _ width: Int, parts: Int, outputs: Int) {
    self =
      scope.store.device.isCUDA
      ? .product(DenseJoinedProjection(scope, width, parts: parts, outputs: outputs))
      : .steps(SteppedJoinedProjection(scope, width, parts: parts, outputs: outputs))
  }

  /// The map `[B, outputs, H, W]` of the parts, `[B, C, H, W]` each.
  func callAsFunction(_ parts: [Tensor]) -> Tensor {
    switch self {
    case .steps(let projection): projection(parts)
    case .product(let projection): projection(parts)
    }
  }
}

/// ``JoinedProjection`` as it is written.
struct SteppedJoinedProjection {
  let join: ShuffledJoin
  let depthwise: Conv2d
  let project: Conv2d
  let missingChannels: Int

  init(_ scope: Scope, _ width: Int, parts: Int, outputs: Int) {
    let channels = parts * width
    join = ShuffledJoin(scope, channels: channels, parts: parts)
    depthwise = Conv2d(scope[0], channels, channels, kernel: 3, groups: channels, activation: .gelu)
    project = Conv2d(scope[2], channels, outputs / parts * parts, kernel: 1, groups: parts)
    missingChannels = outputs - outputs / parts * parts
  }

  /// The map `[B, outputs, H, W]` of the parts, `[B, C, H, W]` each.
  func callAsFunction(_ parts: [Tensor]) -> Tensor {
    padded(project(depthwise(parts.count == 1 ? parts[0] : join(parts))))
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

/// A 1x1 convolution, a residual depthwise 3x3 one with GELU and another 1x1, from `[B, inputs, H, W]` to
/// `[B, outputs, H, W]`.
///
/// Wang et al., "PVT v2" (2106.13797), section 3.3, with the shortcut that the SparX code gives its feed-forward layers.
struct ConvFusion: Layer {
  let expand: Conv2d
  let depthwise: ResidualDepthwiseConv
  let project: Conv2d

  init(_ scope: Scope, _ inputs: Int, hidden: Int, outputs: Int) {
    expand = Conv2d(scope["fc1"], inputs, hidden, kernel: 1)
    depthwise = ResidualDepthwiseConv(scope["dwconv"], hidden, kernel: 3, activation: .gelu)
    project = Conv2d(scope["fc2"], hidden, outputs, kernel: 1)
  }

  func callAsFunction(_ x: Tensor) -> Tensor { project(depthwise(expand(x))) }
}
