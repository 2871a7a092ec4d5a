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

  /// Something besides the tensors.
  public struct Other: Sendable, Encodable {
    /// The key.
    public let key: String
    /// What it is, in a few words.
    public let kind: String
  }

  /// How the file is written.
  public let format: String
  /// The tensors, in the order of the file.
  public let tensors: [Item]
  /// The file's own texts.
  public let metadata: [String: String]
  /// The elements of all tensors.
  public let elements: Int
  /// The bytes of all tensors.
  public let bytes: Int
  /// The keys that lead to the dictionary in a PyTorch file, joined by dots; empty for the outermost.
  public let selection: String?
  /// What stood in front of every key in a PyTorch file and is left out here.
  public let strippedPrefix: String?
  /// The dictionaries with tensors in a PyTorch file.
  public let candidates: [String]
  /// What else the dictionary holds, tensors that cannot be read among it.
  public let others: [Other]
  /// What the outermost dictionary of a PyTorch file holds.
  public let contents: [Other]

  /// Reads what the file at `url` says of its tensors, which stay on disk.
  ///
  /// - Throws: `CheckpointError` if the file cannot be read or is malformed.
  public init(contentsOf url: URL) throws {
    let file = try StateDictionary(contentsOf: url)
    format = file.format.rawValue
    tensors = file.entries.map {
      Item(key: $0.key, shape: $0.shape, dtype: $0.dtype.name, bytes: $0.byteCount)
    }
    metadata = file.metadata
    elements = tensors.reduce(0) { $0 + $1.shape.reduce(1, *) }
    bytes = tensors.reduce(0) { $0 + $1.bytes }
    selection = file.selection?.path
    strippedPrefix = file.selection?.prefix
    candidates = file.selection?.candidates ?? []
    others = (file.unreadable + (file.selection?.others ?? [])).map { Other(key: $0.key, kind: $0.kind) }
    contents = file.selection?.contents.map { Other(key: $0.key, kind: $0.kind) } ?? []
  }

  /// The summary for people.
  public var text: String {
    var lines = ["format: \(format)"]
    if let selection {
      let prefix = strippedPrefix.map { $0.isEmpty ? "" : " without '\($0)'" } ?? ""
      lines.append(
        "weights: \(selection.isEmpty ? "the outermost dictionary" : Self.printable(selection))\(prefix)")
      let rest = candidates.filter { $0 != selection }.map { $0.isEmpty ? "\"\"" : Self.printable($0) }
      if !rest.isEmpty { lines.append("also with tensors: \(rest.joined(separator: ", "))") }
      if !selection.isEmpty { lines += Self.list("in the file", contents) }
      lines += Self.list("not readable or no tensors", others)
    }
    for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
      lines.append("\(Self.printable(key)): \(Self.printable(value))")
    }
    lines.append("")
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

  private static func list(_ title: String, _ items: [Other]) -> [String] {
    items.isEmpty ? [] : ["\(title):"] + items.map { "  \(printable($0.key)): \(printable($0.kind))" }
  }

  /// A stranger's text for a terminal: no control characters, and not too long.
  private static func printable(_ text: String) -> String {
    let limit = 160
    let safe = String(text.unicodeScalars.prefix(limit)).withoutControlCharacters
    return text.unicodeScalars.count > limit ? safe + "…" : safe
  }
}
