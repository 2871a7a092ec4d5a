import Foundation
import Verification

/// The references at the root of the repository.
enum ShippedReferences {
  static let folder = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../Fixtures/models").standardizedFileURL

  static func url(_ name: String) -> URL { folder.appending(path: "\(name).json") }

  static func read(_ name: String) throws -> Reference { try Reference(contentsOf: url(name)) }

  /// A reference's file as an editable dictionary.
  static func members(_ name: String) throws -> [String: Any] {
    try JSONSerialization.jsonObject(with: Data(contentsOf: url(name))) as? [String: Any] ?? [:]
  }
}
