public import Foundation
import Yams

extension Recipe {
  /// Reads a YAML file over the defaults.
  ///
  /// - Parameters:
  ///   - file: the recipe.
  ///   - overrides: fields given elsewhere, with dots between levels, and their values in YAML.
  /// - Throws: ``RecipeError`` for a file that cannot be read, an unknown key, a wrong type or an impossible value.
  public init(contentsOf file: URL, overrides: [(key: String, value: String)] = []) throws {
    let path = file.path(percentEncoded: false)
    let text: String
    do {
      text = try String(contentsOf: file, encoding: .utf8)
    } catch {
      throw RecipeError(
        path, "cannot be read as text", remedy: "check the path, the permissions and the encoding")
    }
    try self.init(yaml: text, source: path, overrides: overrides)
  }

  /// Reads YAML (or JSON, which is a part of it) over the defaults.
  ///
  /// - Parameters:
  ///   - yaml: the text.
  ///   - source: names the text in errors.
  ///   - overrides: fields given elsewhere, with dots between levels, and their values in YAML.
  /// - Throws: ``RecipeError`` for malformed text, an unknown key, a wrong type or an impossible value.
  public init(yaml: String, source: String, overrides: [(key: String, value: String)] = []) throws {
    var tree = try Self.defaults()
    let given = try Self.composed(yaml, source)
    try merge(given, into: &tree, at: [], source)
    for (key, value) in overrides {
      let leaf = try Self.composed(value, "--\(key)")
      let nested = key.split(separator: ".").reversed().reduce(leaf) { Node([(Node(String($1)), $0)]) }
      try merge(nested, into: &tree, at: [], "the command line")
    }
    do {
      self = try YAMLDecoder().decode(from: tree.renamingKeys(camelCase))
    } catch let error as DecodingError {
      throw RecipeError(error, in: tree, source)
    }
    try validate(source)
  }

  /// The resolved recipe as YAML, with every field.
  public func yaml() throws -> String {
    try Yams.serialize(node: tree())
  }

  /// The resolved recipe as one line of JSON, with every field.
  public func json() throws -> String {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(self), as: UTF8.self)
  }

  /// The fields in which two recipes differ, with both values.
  public func differences(from other: Recipe) throws -> [(key: String, own: String, other: String)] {
    let (mine, theirs) = (try tree().leaves(), try other.tree().leaves())
    return zip(mine, theirs).filter { $0.value != $1.value }.map { ($0.key, $0.value, $1.value) }
  }

  private func tree() throws -> Node {
    // By way of JSON, whose encoder writes every digit that a number needs to be read back equal.
    try Self.composed(json(), "the recipe").renamingKeys(\.self)
  }

  private static func defaults() throws -> Node { try Recipe().tree() }

  private static func composed(_ yaml: String, _ source: String) throws -> Node {
    do {
      return try Yams.compose(yaml: yaml) ?? Node([(Node, Node)]())
    } catch {
      let reason = "\(error)".split(separator: "\n").joined(separator: " ")
      throw RecipeError(source, "is not YAML (\(reason))", remedy: "correct that place")
    }
  }
}

/// Puts the given values in place of the defaults, whose keys are the known ones.
private func merge(_ given: Node, into tree: inout Node, at path: [String], _ source: String) throws {
  guard case .mapping(let known) = tree else {
    tree = given
    return
  }
  let key = path.isEmpty ? nil : path.joined(separator: ".")
  guard case .mapping(let pairs) = given else {
    throw RecipeError(
      source, key: key, "must hold fields" + given.position, remedy: "write one `name: value` a line")
  }
  var seen: Set<String> = []
  for (name, value) in pairs {
    let name = name.string ?? ""
    let path = path + [name]
    guard var current = known[Node(name)] else {
      let names = known.keys.compactMap(\.string).joined(separator: ", ")
      throw RecipeError(
        source, key: path.joined(separator: "."), "is not a known key" + value.position,
        remedy: "the keys there are \(names)")
    }
    guard seen.insert(name).inserted else {
      throw RecipeError(
        source, key: path.joined(separator: "."), "is given twice" + value.position, remedy: "keep one")
    }
    try merge(value, into: &current, at: path, source)
    tree.mapping?[Node(name)] = current
  }
}

extension RecipeError {
  fileprivate init(_ error: DecodingError, in tree: Node, _ source: String) {
    let (context, type): (DecodingError.Context, (any Any.Type)?) =
      switch error {
      case .typeMismatch(let type, let context): (context, type)
      case .valueNotFound(let type, let context): (context, type)
      case .keyNotFound(_, let context): (context, nil)
      case .dataCorrupted(let context): (context, nil)
      @unknown default: (.init(codingPath: [], debugDescription: "\(error)"), nil)
      }
    let path = context.codingPath.map { $0.intValue.map(String.init) ?? snakeCase($0.stringValue) }
    let value = path.reduce(tree as Node?) { node, name in
      Int(name).map { node?[$0] } ?? node?[name]
    }
    let got = value.flatMap { try? Yams.serialize(node: $0) }?.trimmingCharacters(in: .whitespacesAndNewlines)
    self.init(
      source, key: path.joined(separator: "."),
      type.map { "must be \(words(for: $0, besides: value)), got `\(got ?? "nothing")`" }
        ?? context.debugDescription,
      remedy: "correct the value" + (value?.position ?? ""))
  }
}

private func words(for type: any Any.Type, besides value: Node?) -> String {
  switch type {
  case is Int.Type: "a whole number"
  case is UInt64.Type: "a whole number that is not negative"
  case is Double.Type: "a number"
  case is Bool.Type: "true or false"
  case is String.Type: "a text"
  default: value?.scalar == nil ? "a single value" : "a list"
  }
}

extension Node {
  fileprivate var position: String { mark.map { " (line \($0.line))" } ?? "" }

  fileprivate func renamingKeys(_ rename: (String) -> String) -> Node {
    guard case .mapping(let pairs) = self else { return self }
    return Node(pairs.map { (Node(rename($0.key.string ?? "")), $0.value.renamingKeys(rename)) })
  }

  fileprivate func leaves(_ path: String = "") throws -> [(key: String, value: String)] {
    guard case .mapping(let pairs) = self else {
      return [(path, try Yams.serialize(node: self).trimmingCharacters(in: .whitespacesAndNewlines))]
    }
    return try pairs.flatMap { try $0.value.leaves(path + (path.isEmpty ? "" : ".") + ($0.key.string ?? "")) }
  }
}

private func snakeCase(_ name: String) -> String {
  name.reduce(into: "") { $0 += $1.isUppercase ? "_" + $1.lowercased() : String($1) }
}

private func camelCase(_ name: String) -> String {
  let words = name.split(separator: "_")
  return words.prefix(1).joined() + words.dropFirst().map(\.capitalized).joined()
}
