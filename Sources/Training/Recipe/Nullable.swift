/// An optional field that is always written, as `null` if absent.
///
/// The names of a recipe's fields are read off its encoded defaults, which would otherwise lack this one.
@propertyWrapper
public struct Nullable<Value: Codable & Hashable & Sendable>: Codable, Hashable, Sendable {
  /// The field's value.
  public var wrappedValue: Value?

  /// A field of that value.
  public init(wrappedValue: Value? = nil) { self.wrappedValue = wrappedValue }

  /// Reads the value or `null`.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    wrappedValue = container.decodeNil() ? nil : try container.decode(Value.self)
  }

  /// Writes the value or `null`.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    if let wrappedValue { try container.encode(wrappedValue) } else { try container.encodeNil() }
  }
}

/// A field with a closed list of values, whose names an error can list.
public protocol Choice: RawRepresentable<String>, CaseIterable, Codable, Hashable, Sendable {}

extension Choice {
  /// Reads one of the names.
  public init(from decoder: any Decoder) throws {
    let name = try decoder.singleValueContainer().decode(String.self)
    guard let value = Self(rawValue: name) else {
      let names = Self.allCases.map { "`\($0.rawValue)`" }.joined(separator: ", ")
      throw DecodingError.dataCorrupted(
        .init(codingPath: decoder.codingPath, debugDescription: "expected one of \(names), got `\(name)`"))
    }
    self = value
  }
}
