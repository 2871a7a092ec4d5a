public import Torch

/// How the tensors of an older file become those of a model: ``ParameterStore/translation(of:)``.
public struct Translation: Hashable, CustomStringConvertible, Sendable {
  /// A key of the file and what the model calls it.
  public struct Renaming: Hashable, Sendable {
    /// The file's key.
    public let old: String
    /// The model's key.
    public let new: String
    /// The part of the keys that differs: what the declaration says, without the place.
    let rule: String
  }

  /// What is called differently, in the order of the file's keys.
  public let renamed: [Renaming]
  /// The file's keys of convolutions `[O, I, 1, 1]` that the model has as matrices `[O, I]`, in their order.
  public let flattened: [String]

  /// That of a file with the model's own names and shapes.
  public static let none = Translation(renamed: [], flattened: [])

  /// Whether the file has the model's own names and shapes.
  public var isEmpty: Bool { renamed.isEmpty && flattened.isEmpty }

  /// What the model calls the file's `key`.
  public func key(_ key: String) -> String { renamed.first { $0.old == key }?.new ?? key }

  /// The tensors under the model's names and in its shapes.
  public func callAsFunction(_ tensors: [String: Tensor]) -> [String: Tensor] {
    var result = tensors
    for key in flattened { result[key] = tensors[key]?.flatten(from: 1) }
    for item in renamed { result[item.new] = result.removeValue(forKey: item.old) }
    return result
  }

  /// One line: how many tensors were renamed and by which rules, and how many lost their window; empty for none.
  public var description: String {
    var parts: [String] = []
    if !renamed.isEmpty {
      var rules: [String] = []
      for item in renamed where !rules.contains(item.rule) { rules.append(item.rule) }
      parts.append("\(renamed.count) under older names (\(rules.joined(separator: ", ")))")
    }
    if !flattened.isEmpty { parts.append("\(flattened.count) as convolutions of 1 by 1") }
    return parts.joined(separator: "; ")
  }
}

extension ParameterStore {
  /// What was said with ``Scope/renames(_:to:)``: components of paths.
  struct Renaming {
    let old: [String]
    let new: [String]
    let rule: String
  }

  /// How a file's tensors become the model's, as far as their layers know of older files.
  ///
  /// A key is renamed only if the file does not have the newer one too, so that no tensor is lost.
  ///
  /// - Parameter shapes: the file's keys and shapes.
  /// - Returns: the translation, empty for a file with the model's own names and shapes.
  public func translation(of shapes: [String: [Int]]) -> Translation {
    var renamed: [Translation.Renaming] = []
    var flattened: [String] = []
    for (old, shape) in shapes.sorted(by: { $0.key < $1.key }) {
      var key = old
      if self[old] == nil, let (new, rule) = newer(old), shapes[new] == nil {
        renamed.append(.init(old: old, new: new, rule: rule))
        key = new
      }
      if let entry = self[key], entry.takesConvolution, shape == entry.tensor.shape + [1, 1] {
        flattened.append(old)
      }
    }
    return Translation(renamed: renamed, flattened: flattened)
  }

  /// The newer name of an older key of this model, and the rule that says so.
  private func newer(_ key: String) -> (String, rule: String)? {
    let path = key.split(separator: ".").map(String.init)
    for renaming in renamings where path.starts(with: renaming.old) {
      let new = (renaming.new + path.dropFirst(renaming.old.count)).joined(separator: ".")
      if self[new] != nil { return (new, renaming.rule) }
    }
    return nil
  }
}
