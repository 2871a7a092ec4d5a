public import Torch

/// Attention of tokens `[B, L, C]` to each other, in heads of C / heads channels.
///
/// Vaswani et al. (1706.03762), section 3.2.2, with one projection `qkv` to queries, keys and values.
public struct MultiHeadAttention: Layer {
  let projections: Linear
  let project: Linear
  let heads: Int

  /// Declares `qkv` and `proj`; `heads` must divide `width`.
  public init(_ scope: Scope, _ width: Int, heads: Int) {
    if heads < 1 || width % heads != 0 {
      fatalError("MultiHeadAttention `\(scope.key)`: \(width) channels do not divide into \(heads) heads")
    }
    projections = Linear(scope["qkv"], width, 3 * width)
    project = Linear(scope["proj"], width, width)
    self.heads = heads
  }

  public func callAsFunction(_ x: Tensor) -> Tensor { self(x, bias: nil) }

  /// The attended tokens `[B, L, C]`.
  ///
  /// - Parameters:
  ///   - x: the tokens, `[B, L, C]`.
  ///   - bias: what is added to the scaled products of queries and keys, `[B or 1, heads, L, L]`.
  /// - Returns: the tokens after the last projection.
  public func callAsFunction(_ x: Tensor, bias: Tensor?) -> Tensor {
    let (B, L, C) = x.shape3
    let parts = projections(x).reshape(B, L, 3, heads, C / heads)
      .permute(2, 0, 3, 1, 4)  // [3, B, heads, L, C / heads]
    let attended = Tensor.attention(query: parts[0], key: parts[1], value: parts[2], bias: bias)
    return project(attended.transpose(1, 2).reshape(B, L, C))
  }
}
