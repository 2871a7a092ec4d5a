public import Foundation

/// The weights in a checkpoint file, read tensor by tensor, whatever the file's format.
public struct StateDictionary: Sendable {
  /// One tensor of the file.
  public struct Entry: Sendable, Equatable {
    /// The parameter's key.
    public let key: String
    /// The type of the elements.
    public let dtype: DType
    /// The sizes.
    public let shape: [Int]
  }

  /// The file.
  public let path: String
  /// The tensors, in the file's order.
  public let entries: [Entry]
  /// The texts that the file carries about itself.
  public let metadata: [String: String]
  private let file: SafeTensors

  /// Opens a file and reads what it holds; the elements stay on disk until they are asked for.
  ///
  /// - Throws: ``CheckpointError`` if the file cannot be opened or breaks a rule of its format.
  public init(contentsOf url: URL) throws {
    path = url.path(percentEncoded: false)
    file = try SafeTensors.read(from: url)
    entries = file.entries.map { Entry(key: $0.name, dtype: $0.dtype, shape: $0.shape) }
    metadata = file.metadata
  }

  /// Reads the elements of one tensor.
  ///
  /// - Parameter key: the key of one of ``entries``.
  /// - Returns: a tensor on the CPU with memory of its own.
  /// - Throws: ``CheckpointError`` if there is no such tensor or the file cannot be read.
  public func tensor(_ key: String) throws -> Tensor { try file.tensor(key) }

  /// Reads all tensors, in the file's order.
  ///
  /// - Throws: ``CheckpointError`` if the file cannot be read.
  public func tensors() throws -> [(key: String, tensor: Tensor)] {
    try entries.map { ($0.key, try tensor($0.key)) }
  }
}
