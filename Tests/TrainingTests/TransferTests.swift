import Backbones
import Data
import Foundation
import Layers
import TestSupport
import Testing
import Torch

@testable import Training

/// A folder with a run of ten classes and pictures of three others.
private struct TransferProject {
  let root: URL
  let pretrained: URL

  init(channels: Int = 3) async throws {
    root = FileManager.default.temporaryDirectory.appending(path: "ganglion-\(UUID().uuidString)")
    for (split, count) in [("train", 4), ("val", 2)] {
      for (label, name) in ["a", "b", "c"].enumerated() {
        let folder = root.appending(path: "data/\(split)/\(name)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        for index in 0..<count {
          try Image(height: 32, width: 32, red: UInt8(80 * label + index), green: 90, blue: 10)
            .writePNG(to: folder.appending(path: "\(index).png"))
        }
      }
    }
    let first = tinyRecipe {
      $0.epochs = 1
      $0.model.channels = channels
    }
    let folder = try RunFolder.fresh(root.appending(path: "first"))
    _ = try await Trainer(first, data: first.makeData(), folder: folder).run()
    pretrained = folder.last
  }

  func remove() { try? FileManager.default.removeItem(at: root) }

  /// A run on the three classes from the other's weights.
  func recipe(_ change: (inout Recipe) -> Void = { _ in }) -> Recipe {
    tinyRecipe {
      $0.data.kind = .imagefolder
      $0.data.path = root.appending(path: "data").path
      $0.model.pretrained = pretrained.path
      change(&$0)
    }
  }
}

private final class LossLog: TrainingObserver {
  var losses: [Double] = []
  func didStep(_ record: StepRecord) { losses.append(record.loss) }
  func didEndEpoch(_ record: EpochRecord) {}
}

private func bytes(_ model: Backbones.Model) -> [String: [UInt8]] {
  Dictionary(uniqueKeysWithValues: model.store.entries.map { ($0.key, $0.tensor.bytes()) })
}

@Suite(.serialized, .steadyKernels) struct TransferTests {
  init() { Engine.threadCount = 1 }

  @Test func aRunStartsFromTheAveragesWithAHeadOfItsOwn() async throws {
    let project = try await TransferProject()
    defer { project.remove() }
    let trainer = try Trainer(project.recipe(), data: project.recipe().makeData())
    let start = try #require(trainer.start)
    #expect(start.changes.map(\.key) == ["classifier.3.weight", "classifier.3.bias"])
    #expect(start.changes.map(\.given.first) == [10, 10])
    #expect(start.source.hasSuffix("last.safetensors (moving averages)"))
    let (own, averaged) = (
      bytes(trainer.model), bytes(try Checkpoint(contentsOf: project.pretrained).makeModel())
    )
    let fresh = bytes(project.recipe().makeModel(classes: 3))
    for (key, value) in own {
      #expect(value == (key.hasPrefix("classifier.3") ? fresh[key] : averaged[key]), "\(key)")
    }
    #expect(bytes(try #require(trainer.average).model) == own)
  }

  @Test func frozenParametersAndTheirStatisticsStayBitForBit() async throws {
    let project = try await TransferProject()
    defer { project.remove() }
    let recipe = project.recipe {
      $0.model.freeze = ["patch_embed.*", "layers.?.blocks.*.norm.*", "*.downsample.1.*"]
    }
    let folder = try RunFolder.fresh(project.root.appending(path: "second"))
    let trainer = try Trainer(recipe, data: recipe.makeData(), folder: folder)
    let before = bytes(trainer.model)
    _ = try await trainer.run()
    let (after, averaged) = (bytes(trainer.model), bytes(try #require(trainer.average).model))
    func isFrozen(_ key: String) -> Bool {
      key.hasPrefix("patch_embed.") || key.contains(".norm.") || key.contains(".downsample.1.")
    }
    let frozen = after.keys.filter(isFrozen)
    #expect(frozen.contains("patch_embed.1.running_mean"))
    #expect(frozen.contains("layers.0.downsample.1.num_batches_tracked"))
    for key in frozen {
      #expect(after[key] == before[key], "\(key)")
      #expect(averaged[key] == before[key], "the average of \(key)")
    }
    for key in ["classifier.3.weight", "layers.0.blocks.0.mlp.fc1.weight"] {
      #expect(after[key] != before[key], "\(key)")
    }
    let names = try SafeTensors.read(from: folder.last).names
    let remembered = names.filter { $0.hasPrefix("optimizer.first.") }.map { String($0.dropFirst(16)) }
    #expect(Set(remembered) == Set(trainer.model.store.entries.filter { $0.kind == .parameter }.map(\.key)))
    #expect(remembered.allSatisfy { !isFrozen($0) } && !remembered.isEmpty)
    let score = try Classifier(Checkpoint(contentsOf: folder.best))
    #expect(score.classNames == ["a", "b", "c"])
  }

  @Test func frozenStagesAndCheckpointingGoTogether() async throws {
    let project = try await TransferProject()
    defer { project.remove() }
    var losses: [[Double]] = []
    for checkpointing in [false, true] {
      let recipe = project.recipe {
        $0.epochs = 1
        $0.model.checkpointing = checkpointing
        $0.model.freeze = ["patch_embed.*", "layers.0.*", "layers.2.blocks.0.*"]
      }
      let trainer = try Trainer(recipe, data: recipe.makeData())
      let log = LossLog()
      trainer.observers = [log]
      _ = try await trainer.run()
      losses.append(log.losses)
    }
    // Recomputation adds up the gradients of a shared map in another order.
    #expect(losses[0].count == 3)
    for (plain, recomputed) in zip(losses[0], losses[1]) { #expect(abs(plain - recomputed) < 1e-5 * plain) }
  }

  @Test func aStoppedRunGoesOnWithoutThePretrainedFile() async throws {
    let project = try await TransferProject()
    defer { project.remove() }
    let recipe = project.recipe { $0.model.freeze = ["layers.0.*"] }
    let data = try recipe.makeData()
    let whole = try Trainer(recipe, data: data)
    _ = try await whole.run()
    let folder = try RunFolder.fresh(project.root.appending(path: "stopped"))
    let stopped = try Trainer(recipe, data: data, folder: folder)
    _ = try await stopped.run { stopped.progress.step < 2 }
    try FileManager.default.removeItem(at: project.pretrained)
    let resumed = try Trainer(recipe, data: data, resuming: Checkpoint(contentsOf: folder.last))
    #expect(resumed.start == nil)
    #expect(resumed.model.store.frozenCount == whole.model.store.frozenCount)
    _ = try await resumed.run()
    #expect(bytes(resumed.model) == bytes(whole.model))
    #expect(try bytes(#require(resumed.average).model) == bytes(#require(whole.average).model))
  }

  @Test func picturesInGreysAreLearnedFromColours() async throws {
    let project = try await TransferProject()
    defer { project.remove() }
    let recipe = project.recipe {
      $0.epochs = 1
      $0.model.channels = 1
      $0.data.augmentation.randomErasing = 1
    }
    let folder = try RunFolder.fresh(project.root.appending(path: "grey"))
    let trainer = try Trainer(recipe, data: recipe.makeData(), folder: folder)
    let change = try #require(trainer.start?.changes.first)
    #expect(change.adaptation == .imageChannels && change.given[1] == 3 && change.shape[1] == 1)
    #expect(trainer.model.channels == 1)
    _ = try await trainer.run()
    let checkpoint = try Checkpoint(contentsOf: folder.best)
    #expect(checkpoint.input.mean.count == 1 && checkpoint.input.channels == 1)
    #expect(abs(checkpoint.input.mean[0] - (0.485 + 0.456 + 0.406) / 3) < 1e-6)
    #expect(abs(checkpoint.input.deviation[0] - (0.229 + 0.224 + 0.225) / 3) < 1e-6)
    let classifier = try Classifier(checkpoint)
    let (colours, greys) = (
      Image(height: 40, width: 40, red: 200, green: 30, blue: 90),
      Image(height: 40, width: 40, red: 200, green: 30, blue: 90).grayscale()
    )
    #expect(checkpoint.input.planes(of: colours).count == 32 * 32)
    #expect(try classifier.classes(of: colours, top: 3) == classifier.classes(of: greys, top: 3))
  }

  @Test func moreClassesThanTheDataHaveAreNumbered() async throws {
    let project = try await TransferProject()
    defer { project.remove() }
    let recipe = project.recipe {
      $0.epochs = 1
      $0.model.classes = 5
    }
    let data = try recipe.makeData()
    #expect(data.classNames == ["a", "b", "c", "class 3", "class 4"])
    let folder = try RunFolder.fresh(project.root.appending(path: "more"))
    let trainer = try Trainer(recipe, data: data, folder: folder)
    _ = try await trainer.run()
    #expect(trainer.model.store["classifier.3.bias"]?.tensor.shape == [5])
    let names = try Classifier(Checkpoint(contentsOf: folder.best)).classNames
    #expect(names == data.classNames)
    try requireSameClasses(["a", "b", "c"], of: "data", names)
    #expect(throws: RecipeError.self) { try requireSameClasses(["a", "b"], of: "data", names) }
    #expect(throws: RecipeError.self) { try requireSameClasses(["a", "b", "c", "d"], of: "data", names) }
  }

  @Test func whatCannotStartSaysSo() async throws {
    let project = try await TransferProject()
    defer { project.remove() }
    func sentence(_ change: (inout Recipe) -> Void) -> String {
      let recipe = project.recipe(change)
      do {
        _ = try Trainer(recipe, data: recipe.makeData())
        return "nothing was thrown"
      } catch { return "\(error)" }
    }
    let few = sentence { $0.model.classes = 2 }
    #expect(few.contains("`model.classes` is 2, and the data have 3 classes; give at least 3"), "\(few)")
    let unmatched = sentence { $0.model.freeze = ["layers.*", "stem.*"] }
    #expect(unmatched.contains("`model.freeze` has `stem.*`, which matches no parameter"), "\(unmatched)")
    #expect(unmatched.contains("`patch_embed.0.weight`"), "\(unmatched)")
    let all = sentence { $0.model.freeze = ["*"] }
    #expect(all.contains("leaves no parameter to train"), "\(all)")
    let missing = sentence { $0.model.pretrained = "/nowhere/a.safetensors" }
    #expect(missing.contains("/nowhere/a.safetensors"), "\(missing)")
    let other = sentence { $0.model.widths = [8, 8, 16, 20] }
    #expect(other.contains("does not fit the model") && other.contains("of another shape"), "\(other)")
    let deeper = sentence { $0.model.depths = [2, 1, 2, 1] }
    #expect(deeper.contains("missing:") && deeper.contains("layers.0.blocks.1.norm.weight"), "\(deeper)")
    let grey = sentence { $0.model.pretrainedKey = "model" }
    #expect(grey.contains("one dictionary"), "\(grey)")
  }

  @Test(arguments: Architecture.allCases) func everyArchitectureAdaptsItsImagesAndItsHead(
    _ architecture: Architecture
  ) {
    let store = architecture.makeModel(head: .classifier(classes: 7), channels: 2, device: .meta).store
    let images = store.entries.filter { $0.adaptation == .imageChannels }
    #expect(images.map { $0.tensor.size(1) } == [2])
    let heads = store.entries.filter { $0.adaptation == .classes }
    #expect(!heads.isEmpty && heads.allSatisfy { $0.tensor.size(0) == 7 })
    #expect(
      store.entries.filter { $0.tensor.rank > 0 && $0.tensor.size(0) == 7 }.map(\.key) == heads.map(\.key))
  }
}

@Suite struct ColourTests {
  /// Values of Pillow's `Image.convert("L")`.
  @Test(
    arguments: [
      (SIMD3<UInt8>(255, 0, 0), 76), (SIMD3(0, 255, 0), 150), (SIMD3(0, 0, 255), 29),
      (SIMD3(12, 200, 77), 130),
      (SIMD3(255, 255, 255), 255), (SIMD3(7, 7, 7), 7), (SIMD3(1, 2, 3), 2), (SIMD3(250, 128, 114), 163),
    ] as [(SIMD3<UInt8>, Int)]) func greysArePillows(colour: SIMD3<UInt8>, grey: Int)
  {
    let image = Image(height: 1, width: 1, red: colour.x, green: colour.y, blue: colour.z)
    #expect(image.grayscale().pixels == Array(repeating: UInt8(grey), count: 3))
  }

  @Test func oneChannelIsNormalisedByTheAverages() {
    let image = Image(height: 1, width: 2, red: 51, green: 51, blue: 51)
    let planes = Normalization(mean: [0, 0.1, 0.2], standardDeviation: [1, 2, 3]).grayscale(image)
    #expect(planes.count == 2)
    for value in planes { #expect(abs(value - (0.2 - 0.1) / 2) < 1e-6) }
  }

  @Test func otherNumbersOfChannelsAreRefused() throws {
    let error = try #require(throws: RecipeError.self) {
      try Recipe(yaml: "model: {channels: 4}", source: "a")
    }
    #expect(error.description.contains("must be 1 (luminance) or 3 (red, green, blue) for pictures, got 4"))
  }
}
