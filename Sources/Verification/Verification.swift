import Foundation
public import Scan
import Torch

/// A run over several references.
public struct Verification {
  private let verifiers: [ModelVerifier]
  private let wanted: Set<String>?
  private let isInterrupted: () -> Bool

  /// A run of these verifiers.
  ///
  /// - Parameters:
  ///   - verifiers: one for each file.
  ///   - wanted: the cases to run; all if absent. Keys and counts are always compared.
  ///   - isInterrupted: asked between cases; the rest is left out once it is true.
  public init(
    _ verifiers: [ModelVerifier], only wanted: Set<String>? = nil,
    isInterrupted: @escaping () -> Bool = { false }
  ) {
    self.verifiers = verifiers
    self.wanted = wanted
    self.isInterrupted = isInterrupted
  }

  /// What is told while the run goes on.
  public enum Event {
    /// A model's cases follow.
    case model(ModelVerifier)
    /// A case has ended.
    case result(CaseResult)
  }

  /// Runs everything.
  ///
  /// - Parameter report: called as the run goes on.
  /// - Returns: all results.
  public func run(_ report: (Event) -> Void = { _ in }) -> Summary {
    var results: [CaseResult] = []
    func add(_ result: CaseResult) {
      results.append(result)
      report(.result(result))
    }
    var isCut = false
    for verifier in verifiers {
      if isInterrupted() {
        isCut = true
        break
      }
      report(.model(verifier))
      let contract = verifier.checkContract()
      add(contract)
      for item in verifier.reference.cases where wanted?.contains(item.id) ?? true {
        if isInterrupted() {
          isCut = true
          break
        }
        add(contract.problems.isEmpty ? verifier.run(item) : verifier.skip(item))
      }
    }
    return Summary(
      engine: EngineDescription(device: verifiers.first?.device ?? .cpu),
      dtype: verifiers.first?.dtype.name ?? "", device: "\(verifiers.first?.device ?? .cpu)",
      results: results, isInterrupted: isCut)
  }

  /// The results of a run.
  public struct Summary: Sendable, Encodable {
    /// What computed.
    public let engine: EngineDescription
    /// The precision of the run.
    public let dtype: String
    /// The device of the run.
    public let device: String
    /// One entry for each case, in order.
    public let results: [CaseResult]
    /// Whether cases were left out because of an interruption.
    public let isInterrupted: Bool

    /// Whether everything ran and is within its tolerance.
    public var passed: Bool { !results.isEmpty && !isInterrupted && results.allSatisfy(\.passed) }

    /// The summary as JSON with keys in snake case; numbers that are not finite stand as texts.
    public func json() throws -> String {
      let encoder = JSONEncoder()
      encoder.keyEncodingStrategy = .convertToSnakeCase
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
      encoder.nonConformingFloatEncodingStrategy = .convertToString(
        positiveInfinity: "infinity", negativeInfinity: "-infinity", nan: "nan")
      return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
  }
}
