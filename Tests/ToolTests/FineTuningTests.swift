import Foundation
import Testing

@Suite struct FineTuningTests {
  private func train(_ toy: ToyProject, _ output: String, _ more: [String]) throws -> Tool.Result {
    try Tool.run(
      ["train", "--threads", "1", "--recipe", toy.path("recipe.yaml"), "--output", toy.path(output)] + more)
  }

  @Test func aRunStartsFromAnotherAndItsCheckpointIsUsable() throws {
    let toy = try ToyProject()
    defer { toy.remove() }
    #expect(try train(toy, "first", ["--epochs", "1"]).status == 0)
    let tuned = try train(
      toy, "tuned",
      [
        "--pretrained", toy.path("first/best.safetensors"), "--classes", "4", "--channels", "1",
        "--freeze", "layers.0.*", "--freeze", "*.norm.*",
      ])
    #expect(tuned.status == 0, "\(tuned.errors)")
    for words in [
      "first/best.safetensors: ", " tensors loaded as they are", "adapted: 3 image channels to 1, summed",
      "classifier.3.weight   replaced, freshly drawn: 4 classes, the file has 2", " parameters trained and ",
      " frozen; 16 training and 6 validation images of 4 classes",
    ] { #expect(tuned.errors.contains(words), "\(tuned.errors)") }
    let recipe = try String(contentsOf: toy.root.appending(path: "tuned/recipe.yaml"), encoding: .utf8)
    for line in ["  channels: 1\n", "  classes: 4\n", "  - \"layers.0.*\"\n", "  - \"*.norm.*\"\n"] {
      #expect(recipe.contains(line), "\(recipe)")
    }

    let checkpoint = toy.path("tuned/best.safetensors")
    let evaluation = try Tool.run(
      "evaluate", "--json", "--threads", "1", "--checkpoint", checkpoint, "--data", toy.path("data"))
    #expect(evaluation.status == 0, "\(evaluation.errors)")
    let parsed = try JSONSerialization.jsonObject(with: Data(evaluation.output.utf8))
    let report = try #require(parsed as? [String: Any])
    #expect(report["count"] as? Int == 6)
    let names = (report["per_class"] as? [[String: Any]])?.compactMap { $0["name"] as? String }
    #expect(names == ["bright", "dark", "class 2", "class 3"])
    let prediction = try Tool.run(
      "predict", "--json", "--threads", "1", "--checkpoint", checkpoint, toy.path("data/val/dark/0.png"))
    #expect(prediction.status == 0, "\(prediction.errors)")
    #expect(prediction.output.contains("\"class 3\""))
  }

  /// `@` stands for the toy project's folder.
  @Test(arguments: [
    (["--pretrained", "@/none.safetensors"], "none.safetensors"),
    (["--pretrained", "@/recipe.yaml"], "recipe.yaml"),
    (["--pretrained", "@/none.safetensors", "--set", "model.pretrained_key=ema"], "none.safetensors"),
    (["--classes", "1"], "`model.classes` is 1, and the data have 2 classes"),
    (["--classes", "0"], "`model.classes` must be from 1"),
    (["--channels", "4"], "`model.channels` must be 1 (luminance) or 3"),
    (["--freeze", "stem.*"], "`stem.*`, which matches no parameter"),
    (["--freeze", "*"], "leaves no parameter to train"),
    (["--freeze", ""], "`model.freeze` must be patterns of keys"),
  ]) func whatCannotStartEndsInOneSentenceAndLeavesNothing(arguments: [String], words: String) throws {
    let toy = try ToyProject()
    defer { toy.remove() }
    let result = try train(toy, "out", arguments.map { $0.replacing("@", with: toy.root.path) })
    #expect(result.status != 0 && result.status < 128, "\(result.errors)")
    #expect(result.errors.contains(words), "\(result.errors)")
    #expect(!FileManager.default.fileExists(atPath: toy.path("out")))
  }

  @Test func weightsOfAnotherModelAreListed() throws {
    let toy = try ToyProject()
    defer { toy.remove() }
    #expect(try train(toy, "first", ["--epochs", "1"]).status == 0)
    let result = try train(
      toy, "out",
      ["--pretrained", toy.path("first/best.safetensors"), "--set", "model.widths=[8, 8, 16, 16]"])
    #expect(result.status == 1)
    #expect(result.errors.contains("does not fit the model:"), "\(result.errors)")
    #expect(result.errors.contains("classifier.3.weight: the model has [2, 16], the file has [2, 8]"))
    #expect(!FileManager.default.fileExists(atPath: toy.path("out")))
  }
}
