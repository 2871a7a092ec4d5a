public import Foundation
public import Testing
public import Torch

/// A file of reference numbers: one operator, some cases.
public struct Fixture: Sendable {
  /// The file's name without its extension.
  public let name: String
  /// The whole file.
  public let content: JSON
  /// The cases.
  public let cases: [Case]

  /// Reads the file at `url`.
  ///
  /// - Throws: what Foundation says of a missing or malformed file, or ``FixtureError``.
  public init(contentsOf url: URL) throws {
    let name = url.deletingPathExtension().lastPathComponent
    content = try JSON(contentsOf: url)
    cases = try content["cases"].array().enumerated().map { index, value in
      Case(fixture: name, name: (try? value["name"].string()) ?? "case \(index)", content: value)
    }
    self.name = name
  }

  /// Reads `Fixtures/<name>.json` of a test target's resources (`Bundle.module`).
  ///
  /// - Throws: what Foundation says of a missing or malformed file, or ``FixtureError``.
  public init(_ name: String, in bundle: Bundle) throws {
    let folder = bundle.resourceURL ?? bundle.bundleURL
    try self.init(contentsOf: folder.appending(path: "Fixtures/\(name).json"))
  }

  /// The case of that name.
  ///
  /// - Throws: ``FixtureError`` if there is none.
  public func `case`(_ name: String) throws -> Case {
    guard let found = cases.first(where: { $0.name == name }) else {
      throw FixtureError(description: "\(self.name) has no case '\(name)'; it has \(cases.map(\.name))")
    }
    return found
  }

  /// One case: attributes and inputs, and what the reference made of them.
  public struct Case: Sendable, CustomTestStringConvertible {
    /// The fixture's name.
    public let fixture: String
    /// The case's name.
    public let name: String
    /// Everything the file says of the case.
    public let content: JSON

    /// The fixture's name and the case's.
    public var testDescription: String { "\(fixture)/\(name)" }

    /// The settings of the operator.
    public var attributes: JSON { content.member("attributes") ?? .object([:]) }

    /// The tensors given to the operator, by name.
    public func inputs(_ dtype: DType = .float64) throws -> [String: Tensor] { try tensors("inputs", dtype) }

    /// One tensor given to the operator.
    public func input(_ name: String, _ dtype: DType = .float64) throws -> Tensor {
      try content["inputs"][name].tensor(dtype)
    }

    /// The parameters and buffers of a module, by name.
    public func state(_ dtype: DType = .float64) throws -> [String: Tensor] { try tensors("state", dtype) }

    /// What the operator gives.
    public func output(_ dtype: DType = .float64) throws -> Tensor { try content["output"].tensor(dtype) }

    /// What the output is multiplied with before it is summed and differentiated.
    public func probe(_ dtype: DType = .float64) throws -> Tensor { try content["probe"].tensor(dtype) }

    /// The derivatives of `sum(output * probe)` by input or parameter; `nil` where the reference has none.
    public func gradients(_ dtype: DType = .float64) throws -> [String: Tensor?] {
      try content["gradients"].object().mapValues { $0 == .null ? nil : try $0.tensor(dtype) }
    }

    /// The tensors of a group of the case, by name; empty if the case lacks it.
    public func tensors(_ group: String, _ dtype: DType = .float64) throws -> [String: Tensor] {
      try content.member(group)?.object().mapValues { try $0.tensor(dtype) } ?? [:]
    }
  }
}

/// Expects the derivatives of `sum(output * probe)` to be those of the case.
///
/// - Parameters:
///   - output: what the operator gave, recorded.
///   - variables: by the case's names, what is differentiated with respect to.
///   - expected: the case.
///   - tolerance: the largest relative error of each derivative.
///   - sourceLocation: where the expectation stands.
/// - Throws: ``FixtureError`` if the case has no probe or gradients.
public func expectGradients(
  of output: Tensor, _ variables: [String: Tensor], match expected: Fixture.Case, _ tolerance: Double,
  sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let reference = try expected.gradients(output.dtype)
  let names = variables.keys.sorted()
  for name in reference.keys.sorted() where variables[name] == nil {
    Issue.record(
      "\(expected.testDescription): no variable '\(name)' was given", sourceLocation: sourceLocation)
  }
  let found = gradients(
    of: [(output * (try expected.probe(output.dtype))).sum()],
    withRespectTo: names.compactMap { variables[$0] })
  for (name, gradient) in zip(names, found) {
    guard let entry = reference[name] else { continue }
    let label = "\(expected.testDescription): derivative by \(name)"
    switch (gradient, entry) {
    case (let gradient?, let entry?):
      expectClose(gradient, entry, tolerance, label, sourceLocation: sourceLocation)
    case (nil, nil): break
    case (let gradient?, nil):
      expectClose(gradient, gradient.zerosLike(), 0, label, sourceLocation: sourceLocation)
    case (nil, let entry?):
      Issue.record("\(label): none, expected \(entry.summary)", sourceLocation: sourceLocation)
    }
  }
}
