import Evaluation
public import Scan

/// What computes from a step on: the first line of a log and of each resumption.
public struct EngineLine: Codable, Hashable, Sendable {
  private var kind = "engine"
  /// The steps taken before.
  public let step: Int
  /// The epoch that goes on, from 0.
  public let epoch: Int
  /// What computes.
  public let engine: EngineDescription

  init(step: Int, epoch: Int, engine: EngineDescription) {
    (self.step, self.epoch, self.engine) = (step, epoch, engine)
  }
}

/// How a step went.
public struct StepLine: Codable, Hashable, Sendable {
  private var kind = "step"
  /// The steps taken, this one included.
  public let step: Int
  /// The epoch, from 0.
  public let epoch: Int
  /// The mean loss of the batch.
  public let loss: Double
  /// The learning rate of this step.
  public let learningRate: Double
  /// The joint norm of all gradients before clipping; absent if they overflowed float16.
  public let gradientNorm: Double?
  /// Training images per second since the epoch began.
  public let imagesPerSecond: Double
  /// The bytes of memory that the process occupied.
  public let memoryBytes: Int
  /// The most bytes of the GPU's memory that tensors have taken; absent on a CPU.
  public let deviceMemoryBytes: Int?
  /// The wall-clock time since the run was started or resumed; absent in logs of earlier versions.
  public let seconds: Double?

  init(
    _ record: StepRecord, imagesPerSecond: Double, memoryBytes: Int, deviceMemoryBytes: Int?, seconds: Double
  ) {
    (step, epoch, loss) = (record.step, record.epoch, record.loss)
    (learningRate, gradientNorm) = (record.learningRate, record.gradientNorm)
    (self.imagesPerSecond, self.seconds) = (imagesPerSecond, seconds)
    (self.memoryBytes, self.deviceMemoryBytes) = (memoryBytes, deviceMemoryBytes)
  }
}

/// How an epoch ended.
public struct EpochLine: Codable, Hashable, Sendable {
  private var kind = "epoch"
  /// The steps taken so far.
  public let step: Int
  /// The epoch, from 0.
  public let epoch: Int
  /// The mean loss of the epoch's batches.
  public let trainingLoss: Double
  /// The loss on the validation set.
  public let loss: Double
  /// The top-1 accuracy on the validation set in percent.
  public let top1: Double
  /// The top-5 accuracy on the validation set in percent.
  public let top5: Double
  /// Whether it is the best so far.
  public let isBest: Bool
  /// The wall-clock time since the run was started or resumed; absent in logs of earlier versions.
  public let seconds: Double?

  init(_ record: EpochRecord, seconds: Double) {
    (step, epoch, trainingLoss) = (record.step, record.epoch, record.trainingLoss)
    (loss, top1, top5) = (record.score.loss, record.score.top1, record.score.top5)
    (isBest, self.seconds) = (record.isBest, seconds)
  }
}
