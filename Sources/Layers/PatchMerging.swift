public import Torch

/// Halves a map `[B, C, H, W]` to `[B, O, H/2, W/2]`, rounded up: the channels of each 2x2 square joined, normalised and
/// projected.
///
/// Liu et al., "Swin Transformer" (2103.14030), section 3.1. The four pixels follow each other down the columns; an odd
/// map gets a row or column of zeros.
public struct PatchMerging: Layer {
  let norm: LayerNorm2d
  let reduction: Linear2d

  /// Declares `norm` and `reduction`.
  public init(_ scope: Scope, _ inputs: Int, _ outputs: Int) {
    reduction = Linear2d(scope["reduction"], 4 * inputs, outputs, bias: false)
    norm = LayerNorm2d(scope["norm"], 4 * inputs, epsilon: 1e-5)
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    let even = x.size(2) % 2 == 0 && x.size(3) % 2 == 0
    let padded = even ? x : x.padded([0, x.size(3) % 2, 0, x.size(2) % 2])
    let (B, C, H, W) = padded.shape4
    let squares = padded.permute(0, 2, 3, 1).reshape(B, H / 2, 2, W / 2, 2, C)
      .permute(0, 1, 3, 4, 2, 5)  // [B, H/2, W/2, column, row, C]
      .reshape(B, H / 2, W / 2, 4 * C)
    return reduction(norm(squares.permute(0, 3, 1, 2)))
  }
}
