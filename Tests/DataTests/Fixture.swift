import Data
import Foundation

/// The files made by `Fixtures/make_fixtures.py`.
enum Fixture {
  static func url(_ path: String) throws -> URL {
    guard let folder = Bundle.module.resourceURL else { throw CocoaError(.fileNoSuchFile) }
    return folder.appending(path: "Fixtures/" + path)
  }

  static func bytes(_ path: String) throws -> [UInt8] {
    try Array(Foundation.Data(contentsOf: url(path)))
  }

  static func json<Value: Decodable>(_ path: String, as type: Value.Type = Value.self) throws -> Value {
    try JSONDecoder().decode(type, from: Foundation.Data(contentsOf: url(path)))
  }
}

/// A folder that is there while `body` runs.
func withTemporaryFolder<Result>(_ body: (URL) async throws -> Result) async throws -> Result {
  let folder = FileManager.default.temporaryDirectory.appending(path: "DataTests-" + UUID().uuidString)
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(at: folder) }
  return try await body(folder)
}

extension Image {
  /// A picture whose pixels are all different from their neighbours.
  static func pattern(height: Int, width: Int, seed: Int = 1) -> Image {
    Image(
      height: height, width: width,
      pixels: (0..<(height * width * 3)).map { UInt8(truncatingIfNeeded: $0 &* 37 &* seed &+ $0 / 7) })
  }
}
