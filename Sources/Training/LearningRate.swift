import Foundation

/// The learning rate of each step: a linear warm-up, then half a cosine down to a minimum.
///
/// Loshchilov & Hutter, "SGDR" (1608.03983), equation 5, with one period and the warm-up in front of it.
public struct LearningRate: Hashable, Sendable {
  /// The rate between warm-up and cosine.
  public let peak: Double
  /// The rate of the first step, if there is a warm-up.
  public let start: Double
  /// The rate that the cosine approaches at ``steps``.
  public let end: Double
  /// The steps of the warm-up.
  public let warmupSteps: Int
  /// All steps of the run.
  public let steps: Int

  /// The rate of step `step`, counted from 0.
  public func callAsFunction(_ step: Int) -> Double {
    if step < warmupSteps { return start + (peak - start) * Double(step) / Double(warmupSteps) }
    let progress = Double(min(step, steps) - warmupSteps) / Double(max(1, steps - warmupSteps))
    return end + (peak - end) * (1 + cos(.pi * progress)) / 2
  }
}

extension Recipe {
  /// The learning rate of a run of that many steps an epoch.
  public func learningRate(stepsPerEpoch: Int) -> LearningRate {
    let steps = epochs * stepsPerEpoch
    let warmup = Int((schedule.warmupEpochs * Double(stepsPerEpoch)).rounded())
    return LearningRate(
      peak: optimizer.learningRate, start: schedule.warmupLearningRate, end: schedule.minLearningRate,
      warmupSteps: min(warmup, steps), steps: steps)
  }
}
