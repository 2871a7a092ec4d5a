import Layers
import Torch

/// How a ganglion layer joins the features it sees with its own.
///
/// Lou, Fu & Yu (2409.09649): the published one, section 3.1, and those that its ablations put in its place, table 6.
public enum Aggregator: Hashable, Sendable {
  /// Cross-layer channel attention: the paper's DMCA.
  case dynamicChannels(DynamicChannelAggregator.Configuration)
  /// Attention over positions in place of channels: the paper's ablations "SRA", with one reduction, and "CSA", with
  /// several.
  case spatialAttention(SpatialAttentionAggregator.Configuration)
  /// Attention of positions to those of all maps, own and seen: the paper's ablation "SCA".
  case spatialCrossAttention(heads: Int = 4)
  /// DMCA's query and values without an attention: the paper's ablation "w/o CGCA".
  case queryAndValue
  /// Concatenation and a convolutional feed-forward layer: the paper's ablation "Concat".
  case concatenation

  /// Declares an aggregator for `sources` maps of `width` channels beside the layer's own, giving `outputs` channels.
  func make(_ scope: Scope, width: Int, sources: Int, outputs: Int) -> any CrossLayerAggregator {
    switch self {
    case .dynamicChannels(let configuration):
      DynamicChannelAggregator(scope, configuration, width: width, sources: sources, outputs: outputs)
    case .spatialAttention(let configuration):
      SpatialAttentionAggregator(scope, configuration, width: width, sources: sources, outputs: outputs)
    case .spatialCrossAttention(let heads):
      SpatialCrossAggregator(scope, heads: heads, width: width, sources: sources, outputs: outputs)
    case .queryAndValue:
      QueryValueAggregator(scope, width: width, sources: sources, outputs: outputs)
    case .concatenation:
      ConcatenationAggregator(scope, width: width, sources: sources, outputs: outputs)
    }
  }
}

extension Aggregator: CustomStringConvertible {
  /// The paper's name and what is varied, for example `DMCA, 4 groups, reduction 2`.
  public var description: String {
    switch self {
    case .dynamicChannels(let configuration):
      "DMCA, \(configuration.groups) groups, \(Self.reduction([configuration.reduction]))"
        + (configuration.shortcut == .none ? ", no shortcut" : "")
    case .spatialAttention(let configuration):
      (configuration.reductions.count == 1 ? "SRA" : "CSA")
        + ", \(configuration.heads) heads, \(Self.reduction(configuration.reductions))"
    case .spatialCrossAttention(let heads): "SCA, \(heads) heads"
    case .queryAndValue: "query and values, fused by convolutions"
    case .concatenation: "concatenation, fused by convolutions"
    }
  }

  private static func reduction(_ factors: [Int]) -> String {
    if factors == [1] { return "no reduction" }
    return (factors.count == 1 ? "reduction " : "reductions ")
      + factors.map(String.init).joined(separator: ", ")
  }
}

/// A function of a layer's own features and of those it sees.
protocol CrossLayerAggregator {
  /// From x `[B, C, H, W]` and the maps it sees, joined along channels, `[B, S·C, H, W]`: `[B, outputs, H, W]`.
  func callAsFunction(_ x: Tensor, attending seen: Tensor) -> Tensor
}
