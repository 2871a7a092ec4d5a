public import Backbones
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
    for index in configuration.stages.indices {
      if let depths = model.depths { configuration.stages[index].depth = depths[index] }
      if let widths = model.widths { configuration.stages[index].width = widths[index] }
    }
    let built = architecture.makeModel(
      configuration, head: .classifier(classes: classes), seed: seed, device: device)
    built.store.mode.usesCheckpointing = model.checkpointing
    return built
  }
}
