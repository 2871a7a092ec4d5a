import Foundation
import Testing

/// Runs of the tool as a shell sees them, with redirections, limits and pipes.
enum Shell {
  /// Runs a line of bash in which `ganglion` is the tool that was built beside the tests.
  static func run(_ line: String, in folder: URL? = nil) throws -> Tool.Result {
    let scratch = FileManager.default.temporaryDirectory.appending(
      path: "ganglion-shell-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: scratch, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(at: scratch) }
    func file(_ name: String) throws -> FileHandle {
      let url = scratch.appending(path: name)
      try Data().write(to: url)
      return try FileHandle(forWritingTo: url)
    }
    let tool = try #require(Bundle.main.executableURL).deletingLastPathComponent().appending(path: "ganglion")
    let process = Process()
    process.executableURL = URL(filePath: "/bin/bash")
    process.arguments = ["-c", "ganglion() { \"$TOOL\" \"$@\"; }\n" + line]
    // Tests share the cores: threads that wait actively would starve each other. A crash is to be quick and plain.
    process.environment = ProcessInfo.processInfo.environment.merging([
      "TOOL": tool.path(percentEncoded: false), "OMP_WAIT_POLICY": "passive",
      "SWIFT_BACKTRACE": "enable=no",
    ]) { $1 }
    process.currentDirectoryURL = folder
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = try file("output")
    process.standardError = try file("errors")
    try process.run()
    process.waitUntilExit()
    func text(_ name: String) throws -> String {
      String(decoding: try Data(contentsOf: scratch.appending(path: name)), as: UTF8.self)
    }
    let status = process.terminationStatus + (process.terminationReason == .uncaughtSignal ? 128 : 0)
    return Tool.Result(status: status, output: try text("output"), errors: try text("errors"))
  }
}

extension Tool.Result {
  /// What was said on standard error but for what every run of a model says.
  var complaints: [Substring] {
    errors.split(separator: "\n").filter { line in
      !line.hasPrefix("LibTorch ") && !line.hasPrefix("the weights are random")
        && !line.hasPrefix("  See 'ganglion ")
    }
  }

  /// The lines of standard output as JSON objects.
  func objects() throws -> [[String: Any]] {
    try output.split(separator: "\n").map { line in
      try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }
  }
}
