public import Foundation
import Torch

/// What a file of tensors holds.
public struct CheckpointSummary: Sendable, Encodable {
  /// One tensor.
  public struct Item: Sendable, Encodable {
    /// The key.
    public let key: String
    /// The sizes.
    public let shape: [Int]
    /// The element type.
    public let dtype: String
    /// The size in bytes.
    public let bytes: Int
  }

  /// The tensors, in the order of the file.
  public let tensors: [Item]
  /// The file's own texts.
  public let metadata: [String: String]
  /// The elements of all tensors.
  public let elements: Int
  /// The bytes of all tensors.
  public let bytes: Int

  /// Reads the header of the safetensors file at `url`; the tensors stay on disk.
  ///
  /// - Throws: `CheckpointError` if the file cannot be read or is malformed.
  public init(contentsOf url: URL) throws {
    let file = try SafeTensors.read(from: url)
    tensors = file.entries.map {
      Item(key: $0.name, shape: $0.shape, dtype: $0.dtype.name, bytes: $0.byteRange.count)
    }
    metadata = file.metadata
    elements = tensors.reduce(0) { $0 + $1.shape.reduce(1, *) }
    bytes = tensors.reduce(0) { $0 + $1.bytes }
  }

  /// The summary for people.
  public var text: String {
    var lines: [String] = []
    for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
      lines.append("\(Self.printable(key)): \(Self.printable(value))")
    }
    if !lines.isEmpty { lines.append("") }
    var table = TextTable([("key", .left), ("shape", .left), ("type", .left), ("size", .right)])
    for tensor in tensors {
      let shape = tensor.shape.isEmpty ? "scalar" : tensor.shape.map(String.init).joined(separator: "x")
      table.append([Self.printable(tensor.key), shape, tensor.dtype, Quantity.bytes(tensor.bytes)])
    }
    lines += table.lines
    let kinds = Dictionary(grouping: tensors, by: \.dtype).map { "\($0.value.count) \($0.key)" }.sorted()
    lines += [
      "",
      "\(tensors.count) tensors (\(kinds.joined(separator: ", "))), \(Quantity.count(elements)) elements, "
        + Quantity.bytes(bytes),
    ]
    return lines.joined(separator: "\n")
  }

  /// A stranger's text for a terminal: no control characters, and not too long.
  private static func printable(_ text: String) -> String {
    let limit = 160
    let safe = text.unicodeScalars.prefix(limit).map { scalar in
      scalar.properties.generalCategory == .control ? " " : String(scalar)
    }.joined()
    return text.unicodeScalars.count > limit ? safe + "…" : safe
  }
}
