import Foundation
import Testing

/// The tool as it was built beside the tests.
enum Tool {
  /// How a run of the tool ended.
  struct Result {
    let status: Int32
    let output: String
    let errors: String
  }

  /// A run of the tool that goes on.
  struct Running {
    let process: Process
    let scratch: URL

    /// Waits for the end.
    func result() throws -> Result {
      process.waitUntilExit()
      defer { try? FileManager.default.removeItem(at: scratch) }
      func text(_ name: String) throws -> String {
        String(decoding: try Data(contentsOf: scratch.appending(path: name)), as: UTF8.self)
      }
      // The shell's way to tell of a signal.
      let status = process.terminationStatus + (process.terminationReason == .uncaughtSignal ? 128 : 0)
      return Result(status: status, output: try text("output"), errors: try text("errors"))
    }
  }

  private static var ganglion: URL {
    get throws {
      try #require(Bundle.main.executableURL).deletingLastPathComponent().appending(path: "ganglion")
    }
  }

  /// Starts a program, `ganglion` if no other is named.
  static func start(
    _ arguments: [String], _ program: URL? = nil, environment: [String: String] = [:]
  ) throws -> Running {
    let scratch = FileManager.default.temporaryDirectory.appending(path: "ganglion-tool-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: scratch, withIntermediateDirectories: false)
    func file(_ name: String) throws -> FileHandle {
      let url = scratch.appending(path: name)
      try Data().write(to: url)
      return try FileHandle(forWritingTo: url)
    }
    let process = Process()
    process.executableURL = try program ?? ganglion
    process.arguments = arguments
    // Tests share the cores: threads that wait actively would starve each other.
    process.environment = ProcessInfo.processInfo.environment.merging(["OMP_WAIT_POLICY": "passive"]) { $1 }
      .merging(environment) { $1 }
    process.standardOutput = try file("output")
    process.standardError = try file("errors")
    try process.run()
    return Running(process: process, scratch: scratch)
  }

  /// Runs `ganglion` with these arguments and waits for its end.
  static func run(_ arguments: [String]) throws -> Result { try start(arguments).result() }

  /// Runs `ganglion` with these arguments and waits for its end.
  static func run(_ arguments: String...) throws -> Result { try run(arguments) }
}
