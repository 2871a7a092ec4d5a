public import Torch

/// Tensors that do not fit a model: all of them, found at once.
public struct ParameterMismatch: Error, CustomStringConvertible {
  /// Keys of the model that were not given.
  public let missing: [String]
  /// Keys that were given and are not the model's.
  public let unexpected: [String]
  /// Keys whose sizes differ, with the model's and the given ones.
  public let misshaped: [(key: String, expected: [Int], got: [Int])]
  /// Where the tensors came from.
  public let source: String

  /// The whole list, a section for each kind.
  public var description: String {
    var lines = ["\(source) does not fit the model:"]
    func list(_ title: String, _ items: [String]) {
      guard !items.isEmpty else { return }
      lines.append("  \(items.count) \(title):")
      lines += items.map { "    \($0)" }
    }
    list("missing", missing)
    list("unexpected", unexpected)
    list(
      "of another shape",
      misshaped.map { "\($0.key): the model has \($0.expected), the file has \($0.got)" })
    lines.append("  Choose the model that the file was saved from, or load it as a partial transfer.")
    return lines.joined(separator: "\n")
  }
}

/// What a partial transfer left alone.
public struct TransferReport: Sendable {
  /// Keys that were loaded.
  public var loaded: [String] = []
  /// Keys of the model without a counterpart, which keep their values.
  public var missing: [String] = []
  /// Keys without a counterpart in the model.
  public var unexpected: [String] = []
  /// Keys whose sizes differ, which keep their values.
  public var misshaped: [String] = []
  /// What came under older names or in older shapes.
  public var translation = Translation.none
}

extension ParameterStore {
  /// Copies `tensors` into the model. Nothing is changed unless everything fits.
  ///
  /// - Parameters:
  ///   - tensors: the values by key; their element type is converted to the model's.
  ///   - source: names the tensors in errors, usually a file.
  /// - Returns: what came under older names or in older shapes.
  /// - Throws: ``ParameterMismatch`` with every missing, unexpected and mis-shaped key.
  @discardableResult
  public func load(_ tensors: [String: Tensor], from source: String = "the checkpoint") throws -> Translation
  {
    let translation = translation(of: tensors.mapValues(\.shape))
    let tensors = translation(tensors)
    let plan = match(tensors)
    guard plan.missing.isEmpty && plan.unexpected.isEmpty && plan.misshaped.isEmpty else {
      throw ParameterMismatch(
        missing: plan.missing, unexpected: plan.unexpected, misshaped: plan.misshaped, source: source)
    }
    assign(plan.matched, tensors)
    return translation
  }

  /// Copies those of `tensors` that fit, for a transfer to another head or task.
  ///
  /// - Parameters:
  ///   - tensors: the values by key.
  ///   - prefix: a path in front of the model's keys in `tensors`, such as `backbone`; keys without it are skipped.
  /// - Returns: what was loaded and what was left alone.
  public func transfer(_ tensors: [String: Tensor], prefix: String = "") -> TransferReport {
    let wanted = prefix.split(separator: ".").map(String.init)
    var stripped: [String: Tensor] = [:]
    var outside: [String] = []
    for (key, tensor) in tensors {
      let path = key.split(separator: ".").map(String.init)
      if path.starts(with: wanted) {
        stripped[path.dropFirst(wanted.count).joined(separator: ".")] = tensor
      } else {
        outside.append(key)
      }
    }
    let translation = translation(of: stripped.mapValues(\.shape))
    stripped = translation(stripped)
    let plan = match(stripped)
    assign(plan.matched, stripped)
    return TransferReport(
      loaded: plan.matched.map(\.key), missing: plan.missing,
      unexpected: (plan.unexpected + outside).sorted(),
      misshaped: plan.misshaped.map(\.key), translation: translation)
  }

  func match(_ tensors: [String: Tensor]) -> (
    matched: [Entry], missing: [String], unexpected: [String],
    misshaped: [(key: String, expected: [Int], got: [Int])]
  ) {
    var matched: [Entry] = []
    var missing: [String] = []
    var misshaped: [(key: String, expected: [Int], got: [Int])] = []
    for entry in entries {
      guard let tensor = tensors[entry.key] else {
        missing.append(entry.key)
        continue
      }
      if tensor.shape == entry.tensor.shape {
        matched.append(entry)
      } else {
        misshaped.append((entry.key, entry.tensor.shape, tensor.shape))
      }
    }
    let unexpected = tensors.keys.filter { self[$0] == nil && !derivedKeys.contains($0) }.sorted()
    return (matched, missing, unexpected, misshaped)
  }

  func assign(_ matched: [Entry], _ tensors: [String: Tensor]) {
    withoutGradients {
      for entry in matched {
        if let tensor = tensors[entry.key] { entry.tensor.copy(from: tensor) }
      }
    }
  }
}
