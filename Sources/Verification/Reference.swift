/// What the official code of a published model gives, for weights that everyone can make from their keys.
///
/// Every tensor of the model is filled by a rule that depends on its key alone (`Tensor.filled`), so no weights are
/// shipped: a port that has the same keys and the same arithmetic gives the same numbers.
public struct Reference: Sendable, Decodable {
  /// The published name, for example `sparx_mamba_t`.
  public let name: String
  /// Where the numbers come from.
  public let source: Source?
  /// The precision of the reference run.
  public let precision: String?
  /// The number of trained scalars.
  public let parameters: Int
  /// Multiply-adds at one image size, if they were counted.
  public let flops: OperationCount?
  /// Every tensor of the official state dictionary, in its order.
  public let state: [Entry]
  /// What was run, and what came out.
  public let cases: [Case]

  /// The code that gave the numbers.
  public struct Source: Sendable, Decodable {
    /// The repository, `owner/name`.
    public let repo: String
    /// The file inside it.
    public let file: String?
    /// The commit.
    public let commit: String?
  }

  /// Multiply-adds of one forward pass.
  public struct OperationCount: Sendable, Decodable {
    /// The shape of the input, `[1, 3, H, W]`.
    public let input: [Int]
    /// The sum over the network.
    public let total: Int
  }

  /// One tensor of the state dictionary.
  public struct Entry: Sendable, Decodable {
    /// Whether a tensor is trained.
    public enum Kind: String, Sendable, Decodable {
      /// Trained by gradients.
      case parameter
      /// Kept but not trained.
      case buffer
    }

    /// The published key.
    public let key: String
    /// The sizes.
    public let shape: [Int]
    /// The element type of the official checkpoint; absent where an entry only overrides a shape or adds a norm.
    public let dtype: String?
    /// Trained or kept; absent as for `dtype`.
    public let kind: Kind?
    /// The range of the fill; absent for tensors that stay as the model builds them.
    public let lo: Double?
    /// The upper end of the range.
    public let hi: Double?
  }

  /// A tensor by samples and moments.
  public struct Sampled: Sendable, Decodable {
    /// The tensor's name.
    public let name: String
    /// The sizes, `[B, C, H, W]`.
    public let shape: [Int]
    /// The mean of all elements.
    public let mean: Double
    /// The population standard deviation of all elements.
    public let std: Double
    /// The largest magnitude.
    public let absmax: Double
    /// The first 32 elements.
    public let first32: [Double]
    /// The elements at `i * count / 32`.
    public let strided32: [Double]
  }
}
