import Data
import Foundation
import Testing

/// A folder with a recipe and a tiny set of pictures: bright and dark ones, to learn in seconds.
struct ToyProject {
  let root: URL

  init() throws {
    root = FileManager.default.temporaryDirectory.appending(path: "ganglion-toy-\(UUID().uuidString)")
    for (split, count) in [("train", 8), ("val", 3)] {
      for (name, value) in [("bright", 200), ("dark", 40)] {
        let folder = root.appending(path: "data/\(split)/\(name)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        for index in 0..<count {
          let level = UInt8(value + index)
          try Image(height: 40, width: 36, red: level, green: level, blue: UInt8(index))
            .writePNG(to: folder.appending(path: "\(index).png"))
        }
      }
    }
    try write(
      """
      epochs: 2
      batch_size: 4
      log_steps: 1
      checkpoint_steps: 1
      data: {kind: imagefolder, path: \(root.path)/data, image_size: 32}
      model: {depths: [1, 1, 1, 1], widths: [8, 8, 8, 8], drop_path: 0.1}
      """, to: "recipe.yaml")
  }

  func remove() { try? FileManager.default.removeItem(at: root) }

  func write(_ text: String, to name: String) throws {
    try Foundation.Data(text.utf8).write(to: root.appending(path: name))
  }

  func path(_ name: String) -> String { root.appending(path: name).path }

  /// The lines of a run's metrics log without what depends on time and machine.
  func metrics(_ run: String) throws -> [String] {
    let text = try String(contentsOf: root.appending(path: "\(run)/metrics.jsonl"), encoding: .utf8)
    let records = try text.split(separator: "\n").map { line in
      let object = try JSONSerialization.jsonObject(with: Foundation.Data(line.utf8))
      return try #require(object as? [String: Any])
    }
    return records.filter { $0["kind"] as? String != "engine" }.map { fields in
      fields.filter { !["images_per_second", "memory_bytes", "seconds"].contains($0.key) }
        .sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
    }
  }
}
