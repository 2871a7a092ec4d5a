public import Torch

/// What ``ParameterStore/load(adapting:from:)`` did.
public struct AdaptationReport: CustomStringConvertible, Sendable {
  /// A value of another shape.
  public struct Change: Hashable, Sendable {
    /// The parameter's key.
    public let key: String
    /// Which rule was applied.
    public let adaptation: Adaptation
    /// The given shape.
    public let given: [Int]
    /// The parameter's shape.
    public let shape: [Int]
  }

  /// Where the tensors came from.
  public let source: String
  /// Keys that were copied as they were.
  public let loaded: [String]
  /// What was resized, adapted or left at its first value, in order of declaration.
  public let changes: [Change]
  /// What came under older names or in older shapes.
  public let translation: Translation

  /// One line, one for what came under older names, and one for each change.
  public var description: String {
    let width = changes.map(\.key.count).max() ?? 0
    let lines = changes.map { change in
      "  " + change.key + String(repeating: " ", count: width - change.key.count) + "  \(change)"
    }
    let total = loaded.count + changes.count
    let older = translation.isEmpty ? [] : ["  read: \(translation)"]
    return (["\(source): \(loaded.count) of \(total) tensors loaded as they are"] + older + lines)
      .joined(separator: "\n")
  }
}

extension AdaptationReport.Change: CustomStringConvertible {
  /// What was done and why, with both shapes.
  public var description: String {
    switch adaptation {
    case .classes: "replaced, freshly drawn: \(shape[0]) classes, the file has \(given[0])"
    case .imageChannels:
      "adapted: \(given[1]) image channels to \(shape[1]), "
        + (shape[1] == 1 ? "summed" : "repeated and scaled")
    case .positions, .relativePositions, .map: "resized: \(given) to \(shape)"
    }
  }
}

extension ParameterStore {
  /// Copies the weights of a related model: with other classes, image channels or sizes, and equal in all else.
  ///
  /// Where a shape differs, the parameter's ``Entry/adaptation`` decides what it takes. Nothing is changed unless
  /// everything fits.
  ///
  /// - Parameters:
  ///   - tensors: the values by key; their element type is converted to the model's.
  ///   - source: names the tensors in errors and the report, usually a file.
  /// - Returns: what was copied and what was adapted.
  /// - Throws: ``ParameterMismatch`` with every missing and unexpected key and every shape that no rule covers.
  public func load(adapting tensors: [String: Tensor], from source: String = "the checkpoint") throws
    -> AdaptationReport
  {
    let translation = translation(of: tensors.mapValues(\.shape))
    let tensors = translation(tensors)
    let plan = match(tensors)
    var values: [String: Tensor] = [:]
    var changes: [AdaptationReport.Change] = []
    var misfits: [(key: String, expected: [Int], got: [Int])] = []
    for item in plan.misshaped {
      guard let entry = self[item.key], let adaptation = entry.adaptation, let given = tensors[item.key]
      else {
        misfits.append(item)
        continue
      }
      switch adaptation.outcome(of: given, for: item.expected) {
      case .value(let value): values[item.key] = value
      case .unchanged: break
      case .misfit:
        misfits.append(item)
        continue
      }
      changes.append(.init(key: item.key, adaptation: adaptation, given: item.got, shape: item.expected))
    }
    guard plan.missing.isEmpty && plan.unexpected.isEmpty && misfits.isEmpty else {
      throw ParameterMismatch(
        missing: plan.missing, unexpected: plan.unexpected, misshaped: misfits, source: source)
    }
    assign(plan.matched, tensors)
    assign(changes.compactMap { self[$0.key] }, values)
    return AdaptationReport(
      source: source, loaded: plan.matched.map(\.key), changes: changes, translation: translation)
  }
}
