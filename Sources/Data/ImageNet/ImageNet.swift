/// The thousand classes of ImageNet-1K, in the order of the logits of published models.
///
/// Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge" (1409.0575), section 3.1. The order is that
/// of the WordNet identifiers.
public enum ImageNet {
  /// One class.
  public struct Synset: Hashable, Sendable {
    /// The WordNet identifier, which also names the class's folder: `n` and eight digits.
    public let id: String
    /// A name in English, another one for each class.
    public let name: String
  }

  /// The classes; the index is the label.
  public static let synsets: [Synset] = synsetLines.split(separator: "\n").map { line in
    Synset(id: "n" + line.prefix(8), name: String(line.dropFirst(9)))
  }

  /// The names of the classes; the index is the label.
  public static let classNames = synsets.map(\.name)

  /// The labels by WordNet identifier.
  public static let labels = Dictionary(
    uniqueKeysWithValues: synsets.enumerated().map { ($0.element.id, $0.offset) })
}
