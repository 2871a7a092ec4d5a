public import Foundation

/// The reference files that a user names.
public enum ReferenceFiles {
  /// The files of `paths`, a folder standing for the JSON files directly in it, by name.
  ///
  /// - Throws: ``ReferenceError`` for a path that does not exist or a folder without such files.
  public static func find(_ paths: [String]) throws(ReferenceError) -> [URL] {
    var found: [URL] = []
    for path in paths {
      let url = URL(filePath: path)
      var isFolder: ObjCBool = false
      guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
        throw ReferenceError(
          path: path, problem: "does not exist", remedy: "give the path of a reference file")
      }
      guard isFolder.boolValue else {
        found.append(url)
        continue
      }
      let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
      let files = names.filter { $0.hasSuffix(".json") && !$0.hasPrefix(".") }.sorted()
      if files.isEmpty {
        throw ReferenceError(
          path: path, problem: "holds no JSON files", remedy: "give a folder of reference files")
      }
      found += files.map { url.appending(path: $0) }
    }
    return found
  }
}
