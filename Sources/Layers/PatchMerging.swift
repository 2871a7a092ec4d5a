public import Torch

/// Four neighbours joined, normalised and projected: from `[B, H, W, C]` to `[B, H/2, W/2, O]`, rounded up.
///
/// Liu et al., "Swin Transformer" (2103.14030), section 3.1, "patch merging layer". Odd maps get a row or column of
/// zeros, as the authors' code for dense prediction does.
public struct PatchMerging: Layer {
  let norm: LayerNorm
  let reduction: Linear

  /// Declares `reduction` and `norm`.
  public init(_ scope: Scope, _ inputs: Int, _ outputs: Int) {
    reduction = Linear(scope["reduction"], 4 * inputs, outputs, bias: false)
    norm = LayerNorm(scope["norm"], 4 * inputs)
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    let (B, H, W, C) = x.shape4
    let (h, w) = ((H + 1) / 2, (W + 1) / 2)
    let even = H % 2 + W % 2 == 0 ? x : x.padded([0, 0, 0, W % 2, 0, H % 2])
    let joined = even.reshape(B, h, 2, w, 2, C).permute(0, 1, 3, 4, 2, 5)  // [B, h, w, column, row, C]
    return reduction(norm(joined.reshape(B, h, w, 4 * C)))
  }
}
