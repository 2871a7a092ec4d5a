import Backbones
import Data
import Foundation
import Layers
import TestSupport
import Testing
import Torch

@testable import Training

@Suite(.serialized, .steadyKernels) struct CheckpointTests {
  init() { Engine.threadCount = 1 }

  private let recipe = tinyRecipe { $0.epochs = 1 }

  private func written(_ body: (RunFolder, Trainer) throws -> Void) async throws {
    let url = FileManager.default.temporaryDirectory.appending(path: "ganglion-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(at: url) }
    let folder = RunFolder(url: url)
    let trainer = try Trainer(recipe, data: try recipe.makeData(), folder: folder)
    _ = try await trainer.run()
    try body(folder, trainer)
  }

  @Test func aFileSaysEverythingThatItsUseNeeds() async throws {
    try await written { folder, trainer in
      for url in [folder.last, folder.best] {
        let checkpoint = try Checkpoint(contentsOf: url)
        #expect(checkpoint.recipe == recipe)
        #expect(checkpoint.classNames == SyntheticShapes(count: 1).classNames)
        #expect(checkpoint.input == recipe.inputPreparation)
        #expect(checkpoint.progress == trainer.progress)
      }
    }
  }

  @Test func bothFilesGiveTheModelThatWasJudged() async throws {
    try await written { folder, trainer in
      let judged = try #require(trainer.average).model.store.entries
      for url in [folder.last, folder.best] {
        let model = try Checkpoint(contentsOf: url).makeModel()
        #expect(!model.store.mode.isTraining)
        for (mine, theirs) in zip(judged, model.store.entries) {
          #expect(mine.tensor.bytes() == theirs.tensor.bytes(), "\(url.lastPathComponent) \(mine.key)")
        }
      }
      let own = try #require(trainer.model.store["classifier.3.weight"]).tensor.bytes()
      let averaged = try #require(trainer.average?.model.store["classifier.3.weight"]).tensor.bytes()
      #expect(own != averaged)
    }
  }

  @Test func aClassifierGivesProbabilities() async throws {
    try await written { folder, _ in
      let classifier = try Classifier(Checkpoint(contentsOf: folder.best))
      let image = SyntheticShapes(count: 1, imageSize: 90).sample(at: 0).image
      let all = try classifier.classes(of: image, top: 99)
      #expect(Set(all.map(\.name)) == Set(classifier.classNames))
      #expect(abs(all.reduce(0) { $0 + $1.probability } - 1) < 1e-6)
      #expect(all.map(\.probability) == all.map(\.probability).sorted(by: >))
      #expect(try classifier.classes(of: image, top: 2) == Array(all.prefix(2)))
    }
  }

  @Test func otherFilesAreRefused() throws {
    try inScratchFolder { folder in
      let url = folder.appending(path: "weights.safetensors")
      try SafeTensors.write([("a", Tensor.ones([2]))], to: url)
      let error = try #require(throws: CheckpointError.self) { try Checkpoint(contentsOf: url) }
      #expect(error.description.contains("is not a checkpoint of `ganglion train`"))
      let json = "{\"epoch\":0}"
      for (key, value) in [("classes", json), ("preprocessing", json), ("progress", "["), ("recipe", "x: 1")]
      {
        var metadata = [
          "format": "ganglion.checkpoint.1", "recipe": "{}", "classes": "[\"a\"]",
          "preprocessing":
            "{\"imageSize\":32,\"cropFraction\":1,\"interpolation\":\"box\",\"mean\":[0,0,0],\"deviation\":[1,1,1]}",
          "progress": "{\"step\":0,\"epoch\":0,\"batch\":0,\"lossSum\":0}",
        ]
        try SafeTensors.write([], metadata: metadata, to: url)
        _ = try Checkpoint(contentsOf: url)
        metadata[key] = value
        try SafeTensors.write([], metadata: metadata, to: url)
        #expect(throws: (any Error).self) { try Checkpoint(contentsOf: url) }
      }
    }
  }
}

@Suite struct RunFolderTests {
  @Test func aFolderWithContentIsNotOverwritten() throws {
    try inScratchFolder { root in
      let fresh = try RunFolder.fresh(root.appending(path: "a/b"))
      #expect(try RunFolder.fresh(fresh.url) == fresh)
      try Foundation.Data().write(to: fresh.metrics)
      let error = try #require(throws: TrainingError.self) { try RunFolder.fresh(fresh.url) }
      #expect(error.description.contains("expected a new or empty folder"))
      #expect(throws: TrainingError.self) { try RunFolder.existing(fresh.url) }
      #expect(throws: TrainingError.self) { try RunFolder.fresh(fresh.metrics) }
    }
  }

  @Test func numbersAreTheLowestFree() throws {
    try inScratchFolder { root in
      let names = try (0..<3).map { _ in try RunFolder.numbered(in: root).url.lastPathComponent }
      #expect(names == ["run-1", "run-2", "run-3"])
    }
  }

  @Test func theLogLosesWhatAResumedRunWritesAgain() throws {
    try inScratchFolder { root in
      let folder = RunFolder(url: root)
      func line(_ kind: String, _ step: Int, _ epoch: Int) -> String {
        "{\"epoch\":\(epoch),\"kind\":\"\(kind)\",\"step\":\(step)}\n"
      }
      let kept = line("step", 1, 0) + line("epoch", 2, 0) + line("step", 3, 1)
      let dropped = line("step", 4, 1) + line("epoch", 4, 1) + "{\"kind\":\"st"
      try Foundation.Data((kept + dropped).utf8).write(to: folder.metrics)
      var progress = Progress()
      (progress.step, progress.epoch, progress.batch) = (3, 1, 1)
      _ = try JSONLog(folder, interval: 1, resumingAt: progress)
      #expect(try String(contentsOf: folder.metrics, encoding: .utf8) == kept)
    }
  }
}
