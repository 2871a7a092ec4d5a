import Foundation

/// The results of a run for people.
public enum VerificationText {
  /// The lines of one event.
  public static func line(_ event: Verification.Event) -> String {
    switch event {
    case .model(let verifier):
      let source = verifier.reference.source.map { source in
        ", against \(source.repo)" + (source.commit.map { " at \($0.prefix(7))" } ?? "")
      }
      return "\(verifier.reference.name) in \(verifier.dtype) on \(verifier.device)\(source ?? "")"
    case .result(let result):
      return lines(result).joined(separator: "\n")
    }
  }

  /// The last line of a run.
  public static func summary(_ summary: Verification.Summary) -> String {
    let passed = summary.results.count(where: \.passed)
    let seconds = summary.results.reduce(0) { $0 + $1.seconds }
    let end = summary.isInterrupted ? "; interrupted, the rest did not run" : ""
    return "\(passed) of \(summary.results.count) passed in \(fixed(seconds, 1)) s\(end)"
  }

  /// The number of failures that are printed; the JSON output has all of them.
  private static let listLimit = 20

  private static func lines(_ result: CaseResult) -> [String] {
    let title = result.id.padding(toLength: max(18, result.id.count), withPad: " ", startingAt: 0)
    let worst = result.worst.map {
      "worst \(short($0.error)) of \(short($0.tolerance)) at \($0.name)[\($0.index)]"
    }
    var lines = [
      "  \(result.passed ? "PASS" : "FAIL")  \(title)  \(fixed(result.seconds, 1)) s  "
        + (worst ?? "nothing was compared")
    ]
    lines += result.problems.prefix(listLimit).map { "        \($0)" }
    lines += result.failures.prefix(listLimit).map { check in
      "        \(check.name)[\(check.index)]: expected \(check.expected), got \(check.actual), "
        + "error \(short(check.error)) above \(short(check.tolerance))"
    }
    let rest = max(0, result.problems.count - listLimit) + max(0, result.failures.count - listLimit)
    if rest > 0 { lines.append("        and \(rest) more; --json lists all") }
    return lines
  }

  private static func short(_ number: Double) -> String { String(format: "%.1e", number) }
  private static func fixed(_ number: Double, _ digits: Int) -> String {
    String(format: "%.\(digits)f", number)
  }
}
