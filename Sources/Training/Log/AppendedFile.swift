import Foundation

/// A file that grows record by record.
struct AppendedFile {
  private let handle: FileHandle
  private let path: String

  /// Opens the file at its end, making it if there is none.
  init(_ url: URL) throws {
    path = url.path(percentEncoded: false)
    do {
      if !FileManager.default.fileExists(atPath: path) { try writeWhole(Data(), to: url) }
      handle = try FileHandle(forWritingTo: url)
      try handle.seekToEnd()
    } catch {
      throw unwritable(path, error)
    }
  }

  func append(_ record: Data) throws {
    do {
      try handle.write(contentsOf: record)
    } catch {
      throw unwritable(path, error)
    }
  }
}

/// Writes a file that appears whole or not at all.
func writeWhole(_ data: Data, to url: URL) throws {
  do {
    try data.write(to: url, options: .atomic)
  } catch {
    throw unwritable(url.path(percentEncoded: false), error)
  }
}

private func unwritable(_ path: String, _ error: any Error) -> TrainingError {
  TrainingError(
    path, "cannot be written (\(error.localizedDescription))",
    remedy: "check the folder, its permissions and the free space")
}
