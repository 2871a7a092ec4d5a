public import Backbones
import Layers
import Torch

/// A second model that follows the trained one: after each step, average ← decay average + (1 - decay) weight.
///
/// Running statistics are averaged like weights; counters are copied.
public struct WeightAverage {
  /// The share of the average that a step keeps.
  public let decay: Double
  /// The model of the averages.
  public let model: Model

  /// An average that starts at the values of `source`.
  ///
  /// - Parameters:
  ///   - source: the trained model.
  ///   - decay: the share of the average that a step keeps.
  ///   - model: a second model of the same recipe; it is overwritten.
  public init(of source: Model, decay: Double, in model: Model) {
    self.decay = decay
    self.model = model
    withoutGradients {
      for (own, theirs) in zip(model.store.entries, source.store.entries) {
        own.tensor.copy(from: theirs.tensor)
      }
    }
  }

  /// Moves the averages towards the values of `source`.
  public func update(from source: Model) {
    interpolate(model.floatingPointTensors, towards: source.floatingPointTensors, weight: 1 - decay)
    withoutGradients {
      for (own, theirs) in zip(model.integerTensors, source.integerTensors) { own.copy(from: theirs) }
    }
  }
}
