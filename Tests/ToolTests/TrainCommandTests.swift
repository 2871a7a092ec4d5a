import Data
import Foundation
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

@Suite struct TrainCommandTests {
  private func train(_ toy: ToyProject, _ output: String, _ more: String...) -> [String] {
    ["train", "--threads", "1", "--recipe", toy.path("recipe.yaml"), "--output", toy.path(output)] + more
  }

  @Test func trainsEvaluatesAndPredicts() throws {
    let toy = try ToyProject()
    defer { toy.remove() }
    let training = try Tool.run(train(toy, "run", "--epochs", "12", "--learning-rate", "0.01"))
    #expect(training.status == 0, "\(training.errors)")
    #expect(training.output.isEmpty)
    #expect(training.errors.contains("LibTorch 2.11.0 on cpu, 1 threads; scan kernel: compiled ("))
    let names = try FileManager.default.contentsOfDirectory(atPath: toy.path("run")).sorted()
    #expect(names.count == 5, "\(names)")
    for name in ["best.safetensors", "last.safetensors", "metrics.jsonl", "recipe.yaml"] {
      #expect(names.contains(name))
    }
    let resolved = try String(contentsOf: toy.root.appending(path: "run/recipe.yaml"), encoding: .utf8)
    #expect(resolved.contains("epochs: 12\n"))
    #expect(resolved.contains("learning_rate: 0.01\n"))

    let checkpoint = toy.path("run/best.safetensors")
    for data in [[], ["--data", toy.path("data")], ["--data", toy.path("data/val"), "--batch-size", "4"]] {
      let evaluation = try Tool.run(
        ["evaluate", "--json", "--threads", "1", "--checkpoint", checkpoint] + data)
      #expect(evaluation.status == 0, "\(evaluation.errors)")
      let parsed = try JSONSerialization.jsonObject(with: Foundation.Data(evaluation.output.utf8))
      let report = try #require(parsed as? [String: Any])
      #expect(report["count"] as? Int == 6)
      #expect(report["top1"] as? Double == 100)
      #expect(report["top5"] as? Double == 100)
      #expect(try #require(report["loss"] as? Double) < 0.7)
      #expect(try #require(report["images_per_second"] as? Double) > 0)
      let classes = try #require(report["per_class"] as? [[String: Any]])
      #expect(classes.map { $0["name"] as? String } == ["bright", "dark"])
      #expect(report["confusion"] as? [[Int]] == [[3, 0], [0, 3]])
    }

    try toy.write("no picture", to: "broken.png")
    let prediction = try Tool.run([
      "predict", "--json", "--threads", "1", "--checkpoint", checkpoint, toy.path("data/val/dark"),
      toy.path("broken.png"), toy.path("data/val/bright/0.png"),
    ])
    #expect(prediction.status == 1)
    #expect(prediction.errors.contains("broken.png: expected a JPEG or PNG picture"))
    let best = try prediction.output.split(separator: "\n").map { line in
      let parsed = try JSONSerialization.jsonObject(with: Foundation.Data(line.utf8))
      let object = try #require(parsed as? [String: Any])
      return try #require((object["classes"] as? [[String: Any]])?.first?["name"] as? String)
    }
    #expect(best == ["dark", "dark", "dark", "bright"])
  }

  /// Ended in order by a signal, or killed outright; then resumed to the numbers of a run left alone.
  @Test(arguments: [(SIGINT, 130), (SIGTERM, 143), (SIGKILL, 137)] as [(Int32, Int32)])
  func anEndedRunResumesToTheSameNumbers(number: Int32, code: Int32) throws {
    let toy = try ToyProject()
    defer { toy.remove() }
    let whole = try Tool.run(train(toy, "whole", "--epochs", "8"))
    #expect(whole.status == 0, "\(whole.errors)")

    let running = try Tool.start(train(toy, "ended", "--epochs", "8"))
    while running.process.isRunning, (try? toy.metrics("ended").count) ?? 0 < 3 { usleep(2000) }
    kill(running.process.processIdentifier, number)
    let ended = try running.result()
    #expect(ended.status == code, "\(ended.errors)")
    if number != SIGKILL { #expect(ended.errors.contains("to go on: ganglion train --resume --output ")) }
    #expect(try toy.metrics("ended").count < toy.metrics("whole").count)

    let resumed = try Tool.run(["train", "--threads", "1", "--resume", "--output", toy.path("ended")])
    #expect(resumed.status == 0, "\(resumed.errors)")
    #expect(try toy.metrics("ended") == toy.metrics("whole"))
    func bytes(_ run: String) throws -> Foundation.Data {
      try Foundation.Data(contentsOf: toy.root.appending(path: "\(run)/last.safetensors"))
    }
    #expect(try bytes("ended") == bytes("whole"))
  }

  private struct BadInput: CustomTestStringConvertible, Sendable {
    let arguments: [String]
    let words: String
    init(_ words: String, _ arguments: String...) { (self.words, self.arguments) = (words, arguments) }
    var testDescription: String { words }
  }

  /// `@` stands for the toy project's folder.
  private static let badInputs = [
    BadInput("cannot be read as text", "train", "--recipe", "@/none.yaml", "--output", "@/out"),
    BadInput("cannot be read as text", "train", "--recipe", "@/data", "--output", "@/out"),
    BadInput("`epoch` is not a known key", "train", "--recipe", "@/unknown.yaml", "--output", "@/out"),
    BadInput(
      "`epochs` must be from 1", "train", "--recipe", "@/recipe.yaml", "--epochs", "0", "--output", "@/out"),
    BadInput(
      "`optimizer.lr` is not a known key", "train", "--recipe", "@/recipe.yaml", "--set", "optimizer.lr=1",
      "--output",
      "@/out"),
    BadInput(
      "expects key=value", "train", "--recipe", "@/recipe.yaml", "--set", "epochs", "--output", "@/out"),
    BadInput("give --recipe", "train", "--output", "@/out"),
    BadInput("expected a new or empty folder", "train", "--recipe", "@/recipe.yaml", "--output", "@/data"),
    BadInput("cannot be made", "train", "--recipe", "@/recipe.yaml", "--output", "@/recipe.yaml"),
    BadInput("no last.safetensors to resume from", "train", "--resume", "--output", "@/data"),
    BadInput(
      "holds no `train` and `val` folders", "train", "--recipe", "@/recipe.yaml", "--data", "@/none",
      "--output",
      "@/out"),
    BadInput(
      "holds no `train` and `val` folders", "train", "--recipe", "@/recipe.yaml", "--data", "@/data/train",
      "--output", "@/out"),
    BadInput(
      "one sub-folder per class", "train", "--recipe", "@/recipe.yaml", "--data", "@/hollow", "--output",
      "@/out"),
    BadInput(
      "--threads must be", "train", "--recipe", "@/recipe.yaml", "--threads", "0", "--output", "@/out"),
    BadInput("cannot be opened", "evaluate", "--checkpoint", "@/none.safetensors"),
    BadInput("is not a regular file", "evaluate", "--checkpoint", "@/data"),
    BadInput("header", "evaluate", "--checkpoint", "@/recipe.yaml"),
    BadInput("--batch-size must be", "evaluate", "--checkpoint", "@/recipe.yaml", "--batch-size", "0"),
    BadInput("or --random-weights", "predict", "--model", "sparx_mamba_t", "@/data/val/dark/0.png"),
    BadInput("either --checkpoint", "predict", "@/data/val/dark/0.png"),
    BadInput(
      "--model must be one of", "predict", "--model", "vgg16", "--random-weights",
      "@/data/val/dark/0.png"),
    BadInput(
      "expected pictures in the folder, got none", "predict", "--model", "sparx_mamba_micro",
      "--random-weights",
      "@/hollow"),
    BadInput(
      "cannot be read", "predict", "--model", "sparx_mamba_micro", "--random-weights", "@/none.png"),
    BadInput("--top-k must be", "predict", "--checkpoint", "a", "--top-k", "0", "b.png"),
  ]

  @Test(arguments: badInputs) private func badInputEndsInOneSentence(input: BadInput) throws {
    let toy = try ToyProject()
    defer { toy.remove() }
    try toy.write("epoch: 3", to: "unknown.yaml")
    for name in ["hollow/train", "hollow/val"] {
      try FileManager.default.createDirectory(
        at: toy.root.appending(path: name), withIntermediateDirectories: true)
    }
    let result = try Tool.run(input.arguments.map { $0.replacing("@", with: toy.root.path) })
    #expect(result.status != 0 && result.status < 128, "\(result.errors)")
    #expect(result.errors.contains(input.words), "\(result.errors)")
    #expect(result.output.isEmpty)
    #expect(!FileManager.default.fileExists(atPath: toy.path("out")))
  }

  @Test func anotherSetOfClassesIsListed() throws {
    let toy = try ToyProject()
    defer { toy.remove() }
    #expect(try Tool.run(train(toy, "run", "--epochs", "1")).status == 0)
    try FileManager.default.moveItem(atPath: toy.path("data/val/dark"), toPath: toy.path("data/val/dim"))
    let result = try Tool.run([
      "evaluate", "--checkpoint", toy.path("run/last.safetensors"), "--data", toy.path("data"),
    ])
    #expect(result.status == 1)
    #expect(result.errors.contains("has other classes than the model (missing: dark; not known: dim)"))
    let again = try Tool.run(train(toy, "other"))
    #expect(again.status == 1)
    #expect(!FileManager.default.fileExists(atPath: toy.path("other")))
  }

  @Test func aPictureThatCannotBeReadEndsTheRunInOneSentence() throws {
    let toy = try ToyProject()
    defer { toy.remove() }
    try toy.write("no picture", to: "data/train/dark/0.png")
    let result = try Tool.run(train(toy, "run"))
    #expect(result.status == 1)
    #expect(
      result.errors.contains("data/train/dark/0.png: expected a JPEG or PNG picture, got other content"))
  }

  @Test(arguments: [
    (
      "train",
      "--batch-size --channels --classes --data --device --epochs --freeze --help --learning-rate --offline --output "
        + "--pretrained --recipe --resume --seed --set --tf32 --threads --workers"
    ),
    (
      "evaluate",
      "--batch-size --checkpoint --classes --data --device --help --json --key --model --offline --plain --precision --pretrained "
        + "--random-weights --tf32 --threads --weights --workers"
    ),
    (
      "predict",
      "--annotate --batch-size --checkpoint --classes --device --from-list --help --json --key --model --null --offline "
        + "--plain --precision --pretrained --random-weights --tf32 --threads --top-k --weights --workers"
    ),
  ]) func theFlagsAreThese(verb: String, flags: String) throws {
    let help = try Tool.run([verb, "--help"])
    #expect(help.status == 0)
    #expect(help.output.contains("Examples:"))
    let lines = help.output.split(separator: "\n").filter { $0.hasPrefix("  -") }
    let found = lines.compactMap { line in
      line.split(whereSeparator: { " ,/".contains($0) }).first { $0.hasPrefix("--") }.map(String.init)
    }
    #expect(Set(found).subtracting(["--version"]).sorted().joined(separator: " ") == flags)
  }
}
