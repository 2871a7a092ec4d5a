public import Foundation
public import Torch

/// The numbers of one tensor of a fixture.
public struct FixtureTensor: Sendable, Equatable, Decodable {
  /// The sizes.
  public let shape: [Int]
  /// The elements, row-major.
  public let values: [Double]

  /// The tensor, in float64 unless another type is asked for.
  public func tensor(_ dtype: DType = .float64) -> Tensor { Tensor(values, shape).to(dtype) }
}

/// A fixture that is not as a test expects.
public struct FixtureError: Error, CustomStringConvertible {
  /// The sentence.
  public let description: String
}

/// A value of a JSON file; an object of `shape` and `values` is a tensor.
public indirect enum JSON: Sendable, Equatable {
  /// No value.
  case null
  /// A truth value.
  case bool(Bool)
  /// A number.
  case number(Double)
  /// A text.
  case string(String)
  /// A list.
  case array([JSON])
  /// Named values.
  case object([String: JSON])
  /// Numbers with a shape.
  case tensor(FixtureTensor)
}

extension JSON: Decodable {
  private struct Key: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  /// Decodes any value.
  public init(from decoder: any Decoder) throws {
    if let members = try? decoder.container(keyedBy: Key.self) {
      let isTensor =
        members.contains(Key(stringValue: "shape")) && members.contains(Key(stringValue: "values"))
      if isTensor, let tensor = try? FixtureTensor(from: decoder) {
        self = .tensor(tensor)
      } else {
        self = .object(
          try Dictionary(
            uniqueKeysWithValues: members.allKeys.map {
              ($0.stringValue, try members.decode(JSON.self, forKey: $0))
            }))
      }
      return
    }
    let value = try decoder.singleValueContainer()
    if let number = try? value.decode(Double.self) {
      self = .number(number)
    } else if let text = try? value.decode(String.self) {
      self = .string(text)
    } else if let truth = try? value.decode(Bool.self) {
      self = .bool(truth)
    } else if value.decodeNil() {
      self = .null
    } else {
      self = .array(try value.decode([JSON].self))
    }
  }

  /// Reads a file.
  ///
  /// - Throws: what Foundation says of a missing or malformed file.
  public init(contentsOf url: URL) throws {
    self = try JSONDecoder().decode(JSON.self, from: Data(contentsOf: url))
  }
}

extension JSON {
  /// The member of that name; throws if there is none.
  public subscript(_ name: String) -> JSON {
    get throws {
      guard let member = member(name) else {
        throw FixtureError(description: "no member '\(name)'; there are \(names)")
      }
      return member
    }
  }

  /// The element at that position; throws if there is none.
  public subscript(_ index: Int) -> JSON {
    get throws {
      let list = try array()
      guard list.indices.contains(index) else {
        throw FixtureError(description: "no element \(index) of \(list.count)")
      }
      return list[index]
    }
  }

  /// The member of that name, if there is one that is not null.
  public func member(_ name: String) -> JSON? {
    guard case .object(let members) = self, let member = members[name], member != .null else { return nil }
    return member
  }

  /// The names of an object's members, sorted.
  public var names: [String] {
    if case .object(let members) = self { members.keys.sorted() } else { [] }
  }

  /// The members of an object.
  public func object() throws -> [String: JSON] {
    guard case .object(let members) = self else { throw mismatch("an object") }
    return members
  }

  /// The elements of a list.
  public func array() throws -> [JSON] {
    guard case .array(let elements) = self else { throw mismatch("a list") }
    return elements
  }

  /// A number.
  public func number() throws -> Double {
    guard case .number(let value) = self else { throw mismatch("a number") }
    return value
  }

  /// A whole number.
  public func int() throws -> Int {
    guard let value = Int(exactly: try number()) else { throw mismatch("a whole number") }
    return value
  }

  /// A truth value.
  public func bool() throws -> Bool {
    guard case .bool(let value) = self else { throw mismatch("a truth value") }
    return value
  }

  /// A text.
  public func string() throws -> String {
    guard case .string(let value) = self else { throw mismatch("a text") }
    return value
  }

  /// A list of numbers.
  public func numbers() throws -> [Double] { try array().map { try $0.number() } }

  /// A list of whole numbers.
  public func ints() throws -> [Int] { try array().map { try $0.int() } }

  /// The numbers of a tensor, in float64 unless another type is asked for.
  public func tensor(_ dtype: DType = .float64) throws -> Tensor {
    guard case .tensor(let value) = self else { throw mismatch("a tensor") }
    return value.tensor(dtype)
  }

  private func mismatch(_ kind: String) -> FixtureError {
    FixtureError(description: "expected \(kind), got \("\(self)".prefix(80))")
  }
}
