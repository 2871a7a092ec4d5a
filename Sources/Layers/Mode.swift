public import Randomness
public import Torch

/// What a model's layers need to know of the run they take part in; one box shared by all of them.
public final class Mode {
  /// Whether layers behave as in training: batch statistics, drop path.
  public var isTraining = false {
    didSet {
      if isTraining && isPrepared {
        fatalError("a prepared model cannot be trained: train the model that it was prepared from")
      }
    }
  }
  /// Whether layers hold folded and packed parameters, for inference only.
  public let isPrepared: Bool
  /// The type that a prepared model computes in; `nil` for that of its parameters.
  public let dtype: DType?
  /// Whether blocks compute their forward pass again in the backward pass instead of keeping it.
  public var usesCheckpointing = false
  /// The seed of the run's random draws.
  public var seed: UInt64
  /// The number of the forward pass; draws are a function of (seed, step, layer key).
  public var step: UInt64 = 0

  /// The mode of a model outside training.
  public init(seed: UInt64 = 0, isPrepared: Bool = false, dtype: DType? = nil) {
    self.seed = seed
    self.isPrepared = isPrepared
    self.dtype = dtype
  }

  /// The random draws of the layer `key` in this step.
  public func draws(_ key: String) -> CounterRandom {
    CounterRandom(seed: seed, step, CounterRandom.hash(key))
  }
}
