import Layers
import Torch

/// Spatial cross attention (SCA): tokens of earlier layers, merged in space, are keys and values beside the layer's own.
///
/// Lou, Fu & Yu (2409.09649), section 4.4, table 6: DMCA replaced by the attention of Zhang, Hu & Wang, "FcaFormer"
/// (2211.07198). Its parts are theirs: a depthwise 7x7 convolution of stride 4 merges the tokens of each map seen, learned
/// factors calibrate them, and own and merged tokens share one projection to keys and values.
/// - Note: No code of the ablation was published. Ours: a map is merged where it is seen, each time with weights of its own,
///   since a connection hands over whole maps; FcaFormer merges it once, in the block that it comes from.
/// - Note: The factors are those of a group norm of each merged map by itself, one for each channel. FcaFormer's code has
///   one for each token before a norm, and biases by position, both of which fix the map's size.
/// - Note: As there, what is attended is added to the layer's own features; the projection of an ordinary layer then gives
///   the mixer's inner width. There are as many heads as DMCA has groups.
///
/// Letters: B batch, C channels, h heads, L positions, M tokens attended to, S maps seen.
struct SpatialCrossAggregator: CrossLayerAggregator {
  let merge: Conv2d
  let norm: GroupNorm
  let query: Linear
  let keyAndValue: Linear
  let project: Linear
  let output: Conv2d
  let heads: Int
  let sources: Int

  init(_ scope: Scope, heads: Int, width: Int, sources: Int, outputs: Int) {
    if heads < 1 || width % heads != 0 {
      fatalError(
        "spatial cross attention `\(scope.key)`: \(width) channels do not divide into \(heads) heads")
    }
    self.heads = heads
    self.sources = sources
    let seen = sources * width
    merge = Conv2d(scope["merge"], seen, seen, kernel: 7, stride: 4, groups: seen, bias: false)
    norm = GroupNorm(scope["d_norm"], seen, groups: sources)
    query = Linear(scope["q"], width, width)
    keyAndValue = Linear(scope["kv"], width, 2 * width)
    project = Linear(scope["proj"], width, width)
    output = Conv2d(scope["in_proj"], width, outputs, kernel: 1)
  }

  func callAsFunction(_ x: Tensor, attending seen: Tensor) -> Tensor {
    let (B, C, H, W) = x.shape4
    let L = H * W
    let own = x.reshape(B, C, L).transpose(1, 2)  // [B, L, C]
    let merged = norm(merge(seen))  // [B, S·C, ⌈H/4⌉, ⌈W/4⌉]
    let positions = merged.size(2) * merged.size(3)
    let crossing = merged.reshape(B, sources, C, positions)
      .transpose(2, 3).reshape(B, sources * positions, C)
    let M = L + sources * positions
    let keysAndValues = keyAndValue(concatenate([own, crossing], along: 1))
      .reshape(B, M, 2, heads, C / heads)
      .permute(2, 0, 3, 1, 4)  // [2, B, h, M, C/h]
    let attended = Tensor.attention(
      query: query(own).reshape(B, L, heads, C / heads).transpose(1, 2),  // [B, h, L, C/h]
      key: keysAndValues[0], value: keysAndValues[1])
    let tokens = project(attended.transpose(1, 2).reshape(B, L, C))  // [B, L, C]
    return output(x + tokens.transpose(1, 2).reshape(B, C, H, W))
  }
}
