import Backbones
import Data
import Foundation
import Layers
import TestSupport
import Testing
import Torch

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

@Suite(.timeLimit(.minutes(15))) struct SignalTests {
  private static let signals: [(Int32, Int32)] = [(SIGINT, 130), (SIGTERM, 143)]
  private let model = ["--model", "sparx_mamba_micro", "--random-weights", "--threads", "1"]

  private func text(_ running: Tool.Running, _ name: String) -> String {
    (try? String(contentsOf: running.scratch.appending(path: name), encoding: .utf8)) ?? ""
  }

  private func waited(_ running: Tool.Running, until condition: () -> Bool) {
    while running.process.isRunning, !condition() { usleep(2000) }
  }

  /// One picture under many names.
  private func manyPictures(in folder: URL, count: Int) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let first = folder.appending(path: "0.png")
    try Image(height: 64, width: 64, red: 9, green: 90, blue: 200).writePNG(to: first)
    for index in 1..<count {
      try FileManager.default.linkItem(at: first, to: folder.appending(path: "\(index).png"))
    }
  }

  @Test(arguments: signals) func predictionEndsInOrder(number: Int32, code: Int32) throws {
    try inScratchFolder { root in
      try manyPictures(in: root.appending(path: "pictures"), count: 3000)
      let seen = root.appending(path: "seen")
      let running = try Tool.start(
        ["predict"] + model
          + ["--batch-size", "2", "--annotate", seen.path, root.appending(path: "pictures").path])
      waited(running) { text(running, "output").split(separator: "\n").count > 3 }
      kill(running.process.processIdentifier, number)
      let result = try running.result()
      #expect(result.status == code, "\(result.errors)")
      let lines = result.output.split(separator: "\n")
      #expect(lines.count < 3000)
      #expect(result.errors.contains("stopped after \(lines.count) of 3000 pictures"), "\(result.errors)")
      // A copy for each picture that was told of, whole, and nothing else.
      let copies = try files(in: seen)
      #expect(copies.count == lines.count)
      for name in copies { _ = try Image(contentsOf: seen.appending(path: name)) }
    }
  }

  @Test(arguments: signals) func evaluationEndsInOrder(number: Int32, code: Int32) throws {
    try inScratchFolder { root in
      try manyPictures(in: root.appending(path: "n01440764"), count: 3000)
      let running = try Tool.start(
        ["evaluate"] + model + ["--batch-size", "2", "--json", "--data", root.path])
      waited(running) { text(running, "errors").contains("the weights are random") }
      kill(running.process.processIdentifier, number)
      let result = try running.result()
      #expect(result.status == code, "\(result.errors)")
      #expect(result.output.isEmpty)
      #expect(result.errors.contains(/stopped after [0-9]+ of 3000 images/), "\(result.errors)")
    }
  }

  @Test func verificationEndsInOrder() throws {
    let reference = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../../Fixtures/models/sparx_mamba_t.json").standardizedFileURL.path
    let running = try Tool.start(["verify", reference, "--threads", "1"])
    waited(running) { text(running, "output").contains("PASS  contract") }
    kill(running.process.processIdentifier, SIGINT)
    let result = try running.result()
    #expect(result.status == 130, "\(result.errors)")
    #expect(result.output.contains("interrupted, the rest did not run"))
    #expect(result.errors.contains(/stopped after [0-9]+ cases/), "\(result.errors)")
  }

  /// A reader that leaves ends the tool without a word, whether the system's signal is ignored or not.
  @Test(arguments: ["", "trap '' PIPE;"]) func aBrokenPipeIsQuiet(before: String) throws {
    try inScratchFolder { root in
      try manyPictures(in: root.appending(path: "pictures"), count: 500)
      let line = "ganglion predict \(model.joined(separator: " ")) --batch-size 1 pictures"
      let result = try Shell.run("\(before) \(line) | head -1; exit ${PIPESTATUS[0]}", in: root)
      #expect(result.status == 141, "\(result.errors)")
      #expect(result.output.split(separator: "\n").count == 1)
      #expect(result.complaints.isEmpty, "\(result.errors)")
    }
  }

  /// The process that a second signal ends at once takes its half-written files along.
  @Test func unfinishedFilesAreRemoved() async throws {
    await #expect(processExitsWith: .success) {
      try inScratchFolder { folder in
        let file = folder.appending(path: "a.bin")
        #expect(throws: CheckpointError.self) {
          try AtomicFile.write(to: file) { content in
            try content.append([1, 2, 3])
            let before = try files(in: folder)
            AtomicFile.removeUnfinished()
            let after = try files(in: folder)
            #expect(before.count == 1 && after.isEmpty)
          }
        }
        let left = try files(in: folder)
        #expect(left.isEmpty)
      }
    }
  }
}
