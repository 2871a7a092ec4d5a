import Torch

/// One comparison of numbers with the reference, by its worst element.
public struct Check: Sendable, Encodable {
  /// What was compared, for example `stage2 first32`.
  public let name: String
  /// The position of the worst element in the list that was compared.
  public let index: Int
  /// The reference's number there.
  public let expected: Double
  /// Ours.
  public let actual: Double
  /// The distance of the two in units of `scale`.
  public let error: Double
  /// The largest magnitude of what was compared, that the error is relative to.
  public let scale: Double
  /// The largest error that passes.
  public let tolerance: Double

  /// Whether the error is within the tolerance; NaN is not.
  public var passed: Bool { error <= tolerance }

  /// How much of the tolerance is used up.
  var severity: Double { error.isNaN ? .infinity : error / tolerance }
}

/// What came of one case.
public struct CaseResult: Sendable, Encodable {
  /// The reference's model.
  public let model: String
  /// The case's name in the file, or `contract` for keys and counts.
  public let id: String
  /// `contract`, `forward`, `gradient`, `train` or `features`.
  public let kind: String
  /// Whether every comparison is within its tolerance.
  public let passed: Bool
  /// The number of comparisons.
  public let checks: Int
  /// The comparison that uses up most of its tolerance.
  public let worst: Check?
  /// The comparisons that failed.
  public let failures: [Check]
  /// What else is wrong, one sentence each.
  public let problems: [String]
  /// The wall-clock time in seconds.
  public let seconds: Double
}

extension CaseResult {
  /// Runs the comparisons of a case; an operator that fails is a problem of the case.
  static func measured(
    _ model: String, id: String, kind: String, _ body: (inout Tally) -> Void
  ) -> CaseResult {
    var tally = Tally()
    let duration = ContinuousClock().measure {
      do {
        try withTorchErrors { body(&tally) }
      } catch {
        tally.problems.append("\(error)")
      }
    }
    let failures = tally.checks.filter { !$0.passed }
    return CaseResult(
      model: model, id: id, kind: kind,
      passed: failures.isEmpty && tally.problems.isEmpty && !tally.checks.isEmpty, checks: tally.checks.count,
      worst: tally.checks.max { $0.severity < $1.severity }, failures: failures, problems: tally.problems,
      seconds: duration / .seconds(1))
  }
}

/// The comparisons of one case.
struct Tally {
  private(set) var checks: [Check] = []
  var problems: [String] = []

  /// Compares two lists element by element.
  ///
  /// - Parameters:
  ///   - name: what is compared.
  ///   - actual: our numbers.
  ///   - expected: the reference's.
  ///   - scale: what the error is relative to; the largest magnitude of `expected` if absent.
  ///   - tolerance: the largest relative error that passes.
  mutating func compare(
    _ name: String, _ actual: [Double], _ expected: [Double], scale: Double? = nil, tolerance: Double
  ) {
    guard actual.count == expected.count else {
      problems.append("\(name): expected \(expected.count) numbers, got \(actual.count)")
      return
    }
    let scale = scale ?? expected.map(\.magnitude).max() ?? 1
    // Where the reference is zero everywhere, errors are absolute.
    let unit = scale > 0 ? scale : 1
    let errors = zip(actual, expected).map { ($0 - $1).magnitude / unit }
    let worst = errors.indices.max {
      (errors[$0].isNaN ? .infinity : errors[$0]) < (errors[$1].isNaN ? .infinity : errors[$1])
    }
    guard let worst else { return }
    checks.append(
      Check(
        name: name, index: worst, expected: expected[worst], actual: actual[worst], error: errors[worst],
        scale: unit, tolerance: tolerance))
  }

  mutating func add(_ check: Check) { checks.append(check) }

  /// Compares two numbers.
  mutating func compare(
    _ name: String, _ actual: Double, _ expected: Double, scale: Double? = nil, tolerance: Double
  ) {
    compare(name, [actual], [expected], scale: scale, tolerance: tolerance)
  }
}
