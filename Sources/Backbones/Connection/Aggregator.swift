import Layers
import Torch

/// How a ganglion layer joins the features it sees with its own.
public enum Aggregator: Hashable, Sendable {
  /// Cross-layer channel attention: the paper's DMCA.
  case dynamicChannels(DynamicChannelAggregator.Configuration)
  /// Concatenation and a convolutional feed-forward layer: the paper's ablation "Concat" (table 6).
  case concatenation

  /// Declares an aggregator for `sources` maps of `width` channels beside the layer's own, giving `outputs` channels.
  func make(_ scope: Scope, width: Int, sources: Int, outputs: Int) -> any CrossLayerAggregator {
    switch self {
    case .dynamicChannels(let configuration):
      DynamicChannelAggregator(scope, configuration, width: width, sources: sources, outputs: outputs)
    case .concatenation:
      ConcatenationAggregator(scope, width: width, sources: sources, outputs: outputs)
    }
  }
}

/// A function of a layer's own features and of those it sees.
protocol CrossLayerAggregator {
  /// From x `[B, C, H, W]` and the maps it sees, joined along channels, `[B, S·C, H, W]`: `[B, outputs, H, W]`.
  func callAsFunction(_ x: Tensor, attending seen: Tensor) -> Tensor
}

/// Everything concatenated, mixed by a 1x1 convolution, a residual depthwise 3x3 one and another 1x1.
///
/// Lou, Fu & Yu (2409.09649), section 4.4: "Concat". The hidden width, twice the layer's, is ours: no code was
/// published, and the paper asks for a complexity comparable to DMCA's.
struct ConcatenationAggregator: CrossLayerAggregator {
  let norm: GroupNorm
  let expand: Conv2d
  let depthwise: ResidualDepthwiseConv
  let project: Conv2d

  init(_ scope: Scope, width: Int, sources: Int, outputs: Int) {
    norm = GroupNorm(scope["d_norm"], sources * width)
    expand = Conv2d(scope["d_proj.fc1"], (sources + 1) * width, 2 * width, kernel: 1)
    depthwise = ResidualDepthwiseConv(scope["d_proj.dwconv"], 2 * width, kernel: 3)
    project = Conv2d(scope["d_proj.fc2"], 2 * width, outputs, kernel: 1)
  }

  func callAsFunction(_ x: Tensor, attending seen: Tensor) -> Tensor {
    project(depthwise(expand(concatenate([x, norm(seen)], along: 1))).gelu())
  }
}
