public import Torch

/// Self-attention of tokens `[B, T, C]` in several heads, with queries, keys and values from one projection.
///
/// Vaswani et al., "Attention Is All You Need" (1706.03762), section 3.2, in the form of vision transformers.
///
/// Letters: B batch, T tokens, C width.
public struct MultiHeadAttention: Layer {
  private let heads: Int
  private let project: Linear
  private let output: Linear

  /// Declares the projections `qkv` and `proj`.
  ///
  /// - Parameters:
  ///   - scope: where the parameters go.
  ///   - width: C.
  ///   - heads: the parts that channels are divided into.
  public init(_ scope: Scope, _ width: Int, heads: Int) {
    if width % heads != 0 {
      fatalError("MultiHeadAttention `\(scope.key)`: \(width) channels do not divide into \(heads) heads")
    }
    self.heads = heads
    project = Linear(scope["qkv"], width, 3 * width)
    output = Linear(scope["proj"], width, width)
  }

  public func callAsFunction(_ x: Tensor) -> Tensor { self(x, bias: nil) }

  /// The attended tokens `[B, T, C]`.
  ///
  /// - Parameters:
  ///   - x: the tokens, `[B, T, C]`.
  ///   - bias: what is added to the products of queries and keys, `[B or 1, heads, T, T]`.
  /// - Returns: the tokens after the output projection.
  public func callAsFunction(_ x: Tensor, bias: Tensor?) -> Tensor {
    let (B, T, C) = x.shape3
    let parts = project(x).reshape(B, T, 3, heads, C / heads)
      .permute(2, 0, 3, 1, 4)  // [3, B, heads, T, C/heads]
    let attended = Tensor.attention(query: parts[0], key: parts[1], value: parts[2], bias: bias)
    return output(attended.transpose(1, 2).reshape(B, T, C))
  }
}
