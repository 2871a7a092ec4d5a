import Analysis
import Backbones
import Data
import Evaluation
import Foundation
import Layers
import Scan
import TestSupport
import Testing
import Torch
import Training

@testable import Reporting

@Suite struct PageTests {
  static let hostile = [
    "</style><script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "a&b<c>d'e\"f", "]]><!--",
    "ünï 猫 🐈",
  ]

  /// Logits that make each class mostly itself, with a mistake in every seventh sample.
  static func scoring(classes: Int, samples: Int) -> Scoring {
    var scoring = Scoring(classes: classes)
    let labels = (0..<samples).map { Int64($0 % classes) }
    let logits = (0..<samples).flatMap { sample in
      let winner = sample % 7 == 3 ? (sample + 1) % classes : sample % classes
      return (0..<classes).map { Float($0 == winner ? 3 + 0.05 * Double(sample) : 0.1 * Double($0 % 5)) }
    }
    scoring.add(Tensor(logits, [samples, classes]), labels, Array(0..<samples))
    return scoring
  }

  static func report(
    classes names: [String], samples: Int, history: String = "", recipe: Recipe? = Recipe(),
    architecture: Architecture? = .sparxMambaMicro, name: String = "demo"
  ) -> RunReport {
    let scoring = scoring(classes: names.count, samples: samples)
    let shown = scoring.examples(RunReport.exampleCount) + scoring.mistakes(RunReport.mistakeCount)
    let pictures = shown.map { ($0.index, Image(height: 8, width: 12, red: UInt8($0.index % 256))) }
    let model = architecture?.makeModel(device: .meta)
    return RunReport(
      name: name, recipe: recipe, history: MetricsHistory(history),
      network: model.map { ModelSummary($0, size: (64, 64)) }, wiring: model?.backbone.wiring ?? [],
      evaluation: .init(
        file: "best.safetensors", classNames: names, scoring: scoring, engine: EngineDescription(),
        pictures: Dictionary(pictures) { first, _ in first }),
      notes: [], date: Date(timeIntervalSince1970: 0))
  }

  @Test func everyNumberIsTheScores() throws {
    let names = ["cat", "dog", "bird"]
    let report = Self.report(
      classes: names, samples: 50,
      history: MetricsHistoryTests.step(5, loss: 2, seconds: 30)
        + MetricsHistoryTests.epoch(0, step: 10, top1: 61.5)
        + MetricsHistoryTests.epoch(1, step: 20, top1: 73.25, seconds: 90)
        + MetricsHistoryTests.epoch(2, step: 30, top1: 70, seconds: 125))
    let page = try Page(report.html)
    page.checkIntegrity()
    let score = try #require(report.evaluation?.scoring.score)
    #expect(try page.number("best-top1") == 73.25)
    #expect(try page.text("best-top1") == "73.25 %")
    #expect(try page.number("time") == 125)
    #expect(try page.text("time") == "2 min 5 s")
    #expect(try page.number("epochs") == 3)
    #expect(try page.number("top1") == score.top1)
    #expect(try page.number("top5") == score.top5)
    #expect(try page.number("loss") == score.loss)
    #expect(try page.number("count") == 50)
    #expect(try page.number("parameters") == Double(try #require(report.network?.parameters)))
    #expect(try page.number("multiply-adds") == Double(try #require(report.network?.multiplyAdds)))

    let matrix = try page.rows("confusion")
    #expect(matrix[0] == [""] + names)
    for (label, row) in matrix.dropFirst().enumerated() {
      #expect(row[0] == names[label])
      let total = score.confusion[label].reduce(0, +)
      let expected = score.confusion[label].map { count in
        count == 0 ? "0" : "\(count)" + String(format: "%.1f", 100 * Double(count) / Double(total))
      }
      #expect(Array(row.dropFirst()) == expected)
    }
    let accuracies = try page.rows("classes").map { $0[2] }
    #expect(accuracies == accuracies.sorted { Double($0.dropLast(2)) ?? 0 > Double($1.dropLast(2)) ?? 0 })
    #expect(Set(accuracies) == Set(score.perClass.map { String(format: "%.1f %%", $0 ?? -1) }))
    let parts = try page.rows("multiply-adds-by-region")
    #expect(parts.map { $0[0] } == ["stem", "stage1", "stage2", "stage3", "stage4", "head"])
  }

  @Test func textsStayTexts() throws {
    var recipe = Recipe()
    recipe.data.path = Self.hostile[0]
    let report = Self.report(classes: Self.hostile, samples: 40, recipe: recipe, name: Self.hostile[1])
    let page = try Page(report.html)
    page.checkIntegrity()
    #expect(try page.rows("confusion")[0] == [""] + Self.hostile)
    #expect(page.source.contains("&lt;/style&gt;&lt;script&gt;"))
    #expect(!page.source.contains("<script"))
  }

  @Test func manyClassesShowTheMostConfusedPairs() throws {
    let names = (0..<1000).map { "class \($0)" }
    let page = try Page(Self.report(classes: names, samples: 3000, architecture: nil).html)
    page.checkIntegrity()
    #expect(page.source.utf8.count < 2_000_000)
    let pairs = try page.rows("confusion")
    #expect(pairs.count == 26)
    #expect(pairs[0][2] == "pictures")
    #expect(pairs.dropFirst().allSatisfy { Int($0[2]) == 1 && $0[3] == "33.3 %" })
    #expect(try page.rows("classes").count == 1000)
    #expect(try page.rows("worst-classes").count == 20)
  }

  @Test(arguments: [
    "", MetricsHistoryTests.step(1), MetricsHistoryTests.epoch(0, step: 1, top1: 0),
    MetricsHistoryTests.step(1, loss: 0) + MetricsHistoryTests.epoch(0, step: 1, top1: 100),
    MetricsHistoryTests.step(1, loss: -3) + MetricsHistoryTests.step(2, loss: -3),
    (1...5000).map { MetricsHistoryTests.step($0, loss: 1e9 / Double($0)) }.joined(),
  ])
  func oddHistoriesMakePages(history: String) throws {
    let page = try Page(Self.report(classes: ["a"], samples: 3, history: history, recipe: nil).html)
    page.checkIntegrity()
    #expect(page.source.utf8.count < 2_000_000)
    #expect(page.values(of: "id").contains("curves") == !history.isEmpty)
  }

  @Test(arguments: Architecture.allCases) func theWiringIsDrawn(architecture: Architecture) throws {
    let report = Self.report(classes: ["a", "b"], samples: 4, architecture: architecture)
    let page = try Page(report.html)
    page.checkIntegrity()
    let arcs = page.texts(ofClass: "arc")
    #expect(arcs.count == report.wiring.flatMap(\.sources).reduce(0) { $0 + ($1?.count ?? 0) })
    #expect(page.texts(ofClass: "ganglion").count == report.wiring.reduce(0) { $0 + $1.ganglionLayers.count })
    #expect(arcs.contains("layer 1 sees layer 0") == report.wiring.contains { !$0.ganglionLayers.isEmpty })
  }

  @Test func examplesAndMistakesAreChosenByRule() throws {
    let scoring = Self.scoring(classes: 5, samples: 70)
    let examples = scoring.examples(3)
    #expect(examples.map(\.label) == [0, 1, 3])
    #expect(examples.allSatisfy { $0.isRight })
    #expect(examples.map(\.index) == [0, 1, 8])
    let mistakes = scoring.mistakes(4)
    #expect(mistakes.map(\.index) == [66, 59, 52, 45])
    #expect(mistakes.allSatisfy { !$0.isRight && $0.classes[0] == ($0.label + 1) % 5 })
    for verdict in scoring.verdicts { #expect(verdict.probabilities.count == 3) }
  }
}

@Suite struct AxisTests {
  @Test(arguments: [
    (0.0, 3.0), (0, 100), (0, 0.0012), (2.5, 2.5), (0, 0), (-3, -1), (1e-9, 1e9), (99.2, 99.9),
  ])
  func ticksAreRoundAndInside(low: Double, high: Double) {
    let axis = Axis(low, high, intervals: 5, isTight: false)
    #expect((2...8).contains(axis.ticks.count))
    #expect(axis.start <= low && axis.end >= high && axis.end > axis.start)
    for tick in axis.ticks { #expect((-1e-6...1.000001).contains(axis.position(tick))) }
  }
}

/// Reports of what a real, very short run left behind.
@Suite(.serialized) struct FolderTests {
  private static func recipe() -> Recipe {
    var recipe = Recipe()
    recipe.epochs = 2
    recipe.batchSize = 10
    recipe.logSteps = 1
    recipe.emaDecay = 0.5
    recipe.data.imageSize = 32
    recipe.data.trainingCount = 20
    recipe.data.validationCount = 20
    recipe.model.depths = [1, 1, 2, 1]
    recipe.model.widths = [8, 8, 16, 16]
    return recipe
  }

  private func inScratch(_ body: (URL) async throws -> Void) async throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "ganglion-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(at: folder) }
    try await body(folder)
  }

  private func trained(_ recipe: Recipe, in folder: URL, stoppingAfter steps: Int = .max) async throws
    -> RunFolder
  {
    let run = try RunFolder.fresh(folder.appending(path: "run"))
    try run.write(recipe, samples: 0)
    let trainer = try Trainer(recipe, data: try recipe.makeData(), folder: run)
    trainer.observers = [try JSONLog(run, interval: recipe.logSteps)]
    _ = try await trainer.run { trainer.progress.step < steps }
    return run
  }

  @Test func aRunIsReportedFromItsFolder() async throws {
    try await inScratch { folder in
      let run = try await trained(Self.recipe(), in: folder)
      let report = try await RunReport(of: run, batchSize: 7)
      #expect(report.notes == [])
      let page = try Page(report.html)
      page.checkIntegrity()
      // The log's best epoch and the checkpoint's verdicts are the same model on the same pictures.
      let best = try #require(report.history.best)
      #expect(try page.number("best-top1") == best.top1)
      #expect(try page.number("top1") == best.top1)
      #expect(abs(try page.number("loss") - best.loss) < 1e-4)
      #expect(
        page.values(of: "id").filter {
          ["curves", "errors", "pictures", "network", "recipe", "engine"].contains($0)
        }.count == 6)
      #expect(page.source.contains("widths: [8, 8, 16, 16]") || page.source.contains("- 16"))
      #expect(report.network?.parameters == Self.recipe().makeModel(classes: 10).store.parameterCount)

      let file = folder.appending(path: "page.html")
      try report.write(to: file)
      #expect(try String(contentsOf: file, encoding: .utf8) == report.html)
      #expect(try files(in: folder) == ["page.html", "run"])
    }
  }

  @Test func whatIsMissingIsLeftOutAndSaid() async throws {
    try await inScratch { folder in
      let run = try await trained(Self.recipe(), in: folder)
      func page(_ words: String...) async throws -> Page {
        let report = try await RunReport(of: run)
        for word in words { #expect(report.notes.contains { $0.contains(word) }, "\(word): \(report.notes)") }
        let page = try Page(report.html)
        page.checkIntegrity()
        return page
      }
      let metrics = try Foundation.Data(contentsOf: run.metrics)
      try metrics.dropLast(20).write(to: run.metrics)
      _ = try await page("One line of metrics.jsonl could not be read", "1 of 2 epochs")
      try FileManager.default.removeItem(at: run.metrics)
      #expect(try await page("no metrics.jsonl").values(of: "id").contains("errors"))

      try Foundation.Data("broken".utf8).write(to: run.best)
      _ = try await page("best.safetensors cannot be used", "last.safetensors, after 4 steps")
      try FileManager.default.removeItem(at: run.recipe)
      _ = try await page("recipe below is the checkpoint's")
      try FileManager.default.removeItem(at: run.best)
      try Self.recipe().yaml().write(to: run.recipe, atomically: true, encoding: .utf8)
      try FileManager.default.removeItem(at: run.last)
      #expect(try await page("There is no checkpoint").values(of: "id").contains("network"))
      try FileManager.default.removeItem(at: run.recipe)
      await #expect(throws: ReportError.self) { _ = try await RunReport(of: run) }
    }
  }

  @Test func aRunThatEndedInItsFirstEpoch() async throws {
    try await inScratch { folder in
      let run = try await trained(Self.recipe(), in: folder, stoppingAfter: 1)
      let report = try await RunReport(of: run)
      #expect(report.notes.contains { $0.contains("ended before its first validation") })
      #expect(report.notes.contains { $0.contains("last.safetensors, after 1 steps") })
      let page = try Page(report.html)
      page.checkIntegrity()
      #expect(try page.number("best-top1") == report.evaluation?.scoring.score.top1)
    }
  }
}
