import Foundation
import Testing

@Suite struct ReportCommandTests {
  @Test func aRunBecomesAPage() throws {
    let toy = try ToyProject()
    defer { toy.remove() }
    let training = try Tool.run([
      "train", "--threads", "1", "--recipe", toy.path("recipe.yaml"), "--output", toy.path("run"),
    ])
    #expect(training.status == 0, "\(training.errors)")

    let plain = try Tool.run(["report", "--threads", "1", toy.path("run")])
    #expect(plain.status == 0, "\(plain.errors)")
    #expect(plain.output == toy.path("run/report.html") + "\n")
    let page = try String(contentsOfFile: toy.path("run/report.html"), encoding: .utf8)
    #expect(page.hasPrefix("<!DOCTYPE html>"))
    #expect(page.contains("<th scope=\"row\">bright</th>"))
    #expect(page.contains("scan kernel"))

    // Without its pictures, and then with them somewhere else.
    try FileManager.default.moveItem(atPath: toy.path("data"), toPath: toy.path("moved"))
    let gone = try Tool.run(["report", "--threads", "1", toy.path("run"), "--output", toy.path("gone.html")])
    #expect(gone.status == 0, "\(gone.errors)")
    #expect(gone.errors.contains("The validation set was not looked at again: "))
    let rest = try String(contentsOfFile: toy.path("gone.html"), encoding: .utf8)
    #expect(rest.contains("The validation set was not looked at again: "))
    #expect(rest.contains("id=\"network\"") && !rest.contains("id=\"errors\""))
    let moved = try Tool.run([
      "report", "--threads", "1", toy.path("run"), "--output", toy.path("moved.html"), "--data",
      toy.path("moved"),
    ])
    #expect(moved.status == 0, "\(moved.errors)")
    #expect(try String(contentsOfFile: toy.path("moved.html"), encoding: .utf8).contains("id=\"errors\""))
  }

  @Test(
    arguments: [
      (["@/none"], "is not a folder"), (["@/data"], "expected the folder of a run"),
      (["@/data", "--batch-size", "0"], "--batch-size must be"),
      (["@/data", "--workers", "0"], "--workers must be"),
      (["@/data", "--threads", "0"], "--threads must be"),
      (["@/data", "--data", "@/data", "--no-evaluation"], "--data is of no use"),
    ] as [([String], String)])
  func badInputEndsInOneSentence(arguments: [String], words: String) throws {
    let toy = try ToyProject()
    defer { toy.remove() }
    let result = try Tool.run(["report"] + arguments.map { $0.replacing("@", with: toy.root.path) })
    #expect(result.status != 0 && result.status < 128)
    #expect(result.errors.contains(words), "\(result.errors)")
    #expect(result.output.isEmpty)
  }

  @Test func aPageThatCannotBeWrittenOrDataThatAreNotThereEndInOneSentence() throws {
    let toy = try ToyProject()
    defer { toy.remove() }
    let training = try Tool.run([
      "train", "--threads", "1", "--recipe", toy.path("recipe.yaml"), "--output", toy.path("run"), "--epochs",
      "1",
    ])
    #expect(training.status == 0, "\(training.errors)")
    for (arguments, words) in [
      (["--output", toy.path("data")], "not a regular file"),
      (["--output", toy.path("no/page.html")], "cannot be created"),
      (["--data", toy.path("nowhere")], "there is no such folder"),
    ] {
      let result = try Tool.run(["report", "--threads", "1", toy.path("run")] + arguments)
      #expect(result.status == 1)
      #expect(result.errors.contains(words), "\(result.errors)")
    }
    #expect(!FileManager.default.fileExists(atPath: toy.path("run/report.html")))
  }
}
