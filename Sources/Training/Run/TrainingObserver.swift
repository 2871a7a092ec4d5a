public import Evaluation

/// What is known after a step.
public struct StepRecord: Hashable, Sendable {
  /// The steps taken so far, this one included.
  public let step: Int
  /// All steps of the run.
  public let steps: Int
  /// The epoch, from 0.
  public let epoch: Int
  /// All epochs of the run.
  public let epochs: Int
  /// The mean loss of the batch.
  public let loss: Double
  /// The learning rate of this step.
  public let learningRate: Double
  /// The joint norm of all gradients before clipping; `nil` if they overflowed float16, and no parameter changed.
  public let gradientNorm: Double?
  /// The number of images in the batch.
  public let imageCount: Int
}

/// What is known after an epoch.
public struct EpochRecord: Hashable, Sendable {
  /// The epoch, from 0.
  public let epoch: Int
  /// All epochs of the run.
  public let epochs: Int
  /// The steps taken so far.
  public let step: Int
  /// The mean loss of the epoch's batches.
  public let trainingLoss: Double
  /// The score on the validation set.
  public let score: ClassificationScore
  /// Whether it is the best so far.
  public let isBest: Bool
}

/// Something that writes down or shows how a run goes.
public protocol TrainingObserver {
  /// Is told of every step.
  func didStep(_ record: StepRecord) throws
  /// Is told of every epoch, after its validation.
  func didEndEpoch(_ record: EpochRecord) throws
}
