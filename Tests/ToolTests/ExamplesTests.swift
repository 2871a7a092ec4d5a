import Data
import Foundation
import Testing

private let products = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
  .deletingLastPathComponent().appending(path: "Examples/.build/release")

private let areBuilt = ["classify", "features"].allSatisfy {
  FileManager.default.isExecutableFile(atPath: products.appending(path: $0).path)
}

/// The programs of the package in Examples/, which `make examples` builds, as `make test` does before the tests.
@Suite(.enabled(if: areBuilt, "the examples are not built: run `make examples`"))
struct ExamplesTests {
  private func run(_ example: String, _ arguments: String...) throws -> Tool.Result {
    try Tool.start(arguments, products.appending(path: example)).result()
  }

  /// A toy project and the checkpoint of a run in it.
  private func withCheckpoint(_ body: (ToyProject, String) throws -> Void) throws {
    let toy = try ToyProject()
    defer { toy.remove() }
    let training = try Tool.run(
      "train", "--threads", "1", "--recipe", toy.path("recipe.yaml"), "--output", toy.path("run"), "--epochs",
      "12",
      "--learning-rate", "0.01")
    #expect(training.status == 0, "\(training.errors)")
    try body(toy, toy.path("run/best.safetensors"))
  }

  @Test func classifySaysWhatAPictureShows() throws {
    try withCheckpoint { toy, checkpoint in
      for name in ["bright", "dark"] {
        let result = try run("classify", checkpoint, toy.path("data/val/\(name)/0.png"))
        #expect(result.status == 0, "\(result.output)\(result.errors)")
        let lines = result.output.split(separator: "\n")
        #expect(lines.count == 2 && lines[0].hasSuffix(" %  " + name), "\(result.output)")
      }
    }
  }

  @Test func featuresPutsTheMostSimilarPictureFirst() throws {
    try withCheckpoint { toy, checkpoint in
      let wanted = toy.path("data/val/dark/0.png")
      let result = try run("features", checkpoint, wanted, toy.path("data/val/bright/0.png"), wanted)
      #expect(result.status == 0, "\(result.output)\(result.errors)")
      let lines = result.output.split(separator: "\n")
      #expect(
        lines.count == 2 && lines[0].hasPrefix(" 1.000  ") && lines[0].hasSuffix("dark/0.png"),
        "\(result.output)")
    }
  }

  @Test func badInputEndsInOneSentence() throws {
    for example in ["classify", "features"] {
      #expect(try run(example).output.hasPrefix("usage: \(example) CHECKPOINT PICTURE"))
      #expect(try run(example).status == 64)
    }
    let missing = try run("classify", "/nowhere/a.safetensors", "/nowhere/a.png")
    #expect(missing.status == 1 && missing.output.contains("/nowhere/a.safetensors: cannot be opened"))
  }
}
