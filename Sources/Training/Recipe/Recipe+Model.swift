public import Backbones
import Foundation
import Layers
public import Torch

extension Model {
  /// The floating-point tensors, trained or kept, in order of declaration.
  var floatingPointTensors: [Tensor] { store.entries.map(\.tensor).filter(\.dtype.isFloatingPoint) }

  /// The other tensors, such as counters of batches.
  var integerTensors: [Tensor] { store.entries.map(\.tensor).filter { !$0.dtype.isFloatingPoint } }
}

extension Recipe {
  /// Builds the model with parameters drawn from the seed.
  ///
  /// - Parameters:
  ///   - classes: the number of logits.
  ///   - device: where the parameters live.
  /// - Returns: the model.
  public func makeModel(classes: Int, device: Device = .cpu) -> Backbones.Model {
    guard let architecture = Architecture(rawValue: model.name) else {
      fatalError("Recipe.makeModel: `\(model.name)` is not in the catalog, which reading a recipe checks")
    }
    var configuration = architecture.configuration
    if let dropPath = model.dropPath { configuration.dropPath = dropPath }
    if let depths = model.depths { configuration.depths = depths }
    if let widths = model.widths { configuration.widths = widths }
    let built = architecture.makeModel(
      configuration, imageSize: (data.imageSize, data.imageSize), head: .classifier(classes: classes),
      channels: model.channels, seed: seed, device: device)
    built.store.mode.usesCheckpointing = model.checkpointing
    return built
  }

  /// Loads the weights that a run starts from, if the recipe names some.
  ///
  /// - Parameter model: a model of ``makeModel(classes:device:)``.
  /// - Returns: what was loaded and what was adapted; `nil` to start afresh.
  /// - Throws: what ``Pretrained`` throws.
  func loadPretrained(into model: Backbones.Model) throws -> AdaptationReport? {
    guard let path = self.model.pretrained else { return nil }
    if path == Pretrained.published {
      return try Pretrained(publishedFor: model.architecture, dictionary: self.model.pretrainedKey).load(
        into: model)
    }
    return try Pretrained(contentsOf: URL(filePath: path), dictionary: self.model.pretrainedKey).load(
      into: model)
  }

  /// Freezes the parameters that the recipe's patterns name.
  ///
  /// - Throws: ``RecipeError`` if a pattern matches none or nothing is left to train.
  func freeze(_ model: Backbones.Model) throws {
    for pattern in self.model.freeze where model.store.freeze(pattern).isEmpty {
      let keys = model.store.entries.filter { $0.kind != .buffer }.map(\.key)
      let some = stride(from: 0, to: keys.count, by: max(1, keys.count / 6)).map { "`\(keys[$0])`" }
      throw RecipeError(
        "the recipe", key: "model.freeze", "has `\(pattern)`, which matches no parameter",
        remedy:
          "`*` and `?` stand for any text and any character of keys such as \(some.joined(separator: ", "))")
    }
    if model.store.parameters.isEmpty {
      throw RecipeError(
        "the recipe", key: "model.freeze", "leaves no parameter to train",
        remedy: "freeze less, such as all but the head")
    }
  }
}
