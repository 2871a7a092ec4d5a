import Foundation

/// Tells people something, on standard error.
func say(_ text: String) {
  FileHandle.standardError.write(Data((text + "\n").utf8))
}

/// Writes a line of results to standard output.
func output(_ text: String) {
  FileHandle.standardOutput.write(Data((text + "\n").utf8))
}

/// Writes a result to standard output as JSON with keys in snake case.
func outputJSON(_ value: some Encodable) throws {
  output(String(decoding: try encodedJSON(value), as: UTF8.self))
}

/// A result as one line of JSON with keys in snake case.
func encodedJSON(_ value: some Encodable) throws -> Data {
  let encoder = JSONEncoder()
  encoder.keyEncodingStrategy = .convertToSnakeCase
  encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
  return try encoder.encode(value)
}

/// The file or folder of a path as a person types it.
func location(_ path: String) -> URL { URL(filePath: path) }
