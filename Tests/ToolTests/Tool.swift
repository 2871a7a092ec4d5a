import Foundation

/// The built tool, run as a user runs it.
enum Tool {
  struct Result {
    let status: Int32
    let output: String
    let errors: String
  }

  /// The tool lies beside the tests.
  private static let executable = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
    .appending(path: "ganglion")

  /// Runs `ganglion` with these arguments and waits for its end.
  static func run(_ arguments: String...) throws -> Result {
    let process = Process()
    process.executableURL = executable
    process.arguments = arguments
    return try inFiles { output, errors in
      process.standardOutput = output
      process.standardError = errors
      try process.run()
      process.waitUntilExit()
      return process.terminationStatus
    }
  }

  // Files rather than pipes, whose buffers a long output would fill.
  private static func inFiles(_ body: (FileHandle, FileHandle) throws -> Int32) throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appending(path: "ganglion-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(at: folder) }
    let urls = ["output", "errors"].map { folder.appending(path: $0) }
    for url in urls { try Data().write(to: url) }
    let status = try body(FileHandle(forWritingTo: urls[0]), FileHandle(forWritingTo: urls[1]))
    let texts = try urls.map { String(decoding: try Data(contentsOf: $0), as: UTF8.self) }
    return Result(status: status, output: texts[0], errors: texts[1])
  }
}
