import Evaluation
import Foundation
public import Torch

/// How a run goes, for people, on standard error: one live line on a terminal, else a line every ten seconds.
public final class ProgressLine: TrainingObserver {
  private let isTerminal = isatty(STDERR_FILENO) == 1
  private var rate = RateMeter()
  private var lastShown: ContinuousClock.Instant?
  private var epochStart = ContinuousClock.now

  private let device: Device

  /// A line that appears with the first step.
  ///
  /// - Parameter device: where the model lives; the memory shown is that device's.
  public init(device: Device = .cpu) { self.device = device }

  private var memory: Int { device.memory?.allocated ?? residentMemory() }

  public func didStep(_ record: StepRecord) {
    rate.add(record.imageCount)
    let pause: Duration = isTerminal ? .milliseconds(200) : .seconds(10)
    if let lastShown, ContinuousClock.now - lastShown < pause, record.step < record.steps { return }
    lastShown = .now
    show(line(record), isLast: !isTerminal)
  }

  public func didEndEpoch(_ record: EpochRecord) {
    let seconds = (ContinuousClock.now - epochStart) / .seconds(1)
    let score = record.score
    show(
      "epoch \(record.epoch + 1)/\(record.epochs)  training loss \(fixed(record.trainingLoss, 4))"
        + "  validation loss \(fixed(score.loss, 4))  top-1 \(fixed(score.top1, 2)) %"
        + "  top-5 \(fixed(score.top5, 2)) %  \(fixed(seconds, 1)) s" + (record.isBest ? "  best" : ""),
      isLast: true)
    epochStart = .now
    rate = RateMeter()
  }

  private func line(_ record: StepRecord) -> String {
    let left = Double((record.steps - record.step) * record.imageCount) / max(rate.perSecond, 1e-9)
    return "epoch \(record.epoch + 1)/\(record.epochs)  step \(record.step)/\(record.steps)"
      + "  loss \(fixed(record.loss, 4))  learning rate \(String(format: "%.2e", record.learningRate))"
      + "  gradient norm \(record.gradientNorm.map { fixed($0, 2) } ?? "too large")"
      + "  \(fixed(rate.perSecond, 0)) images/s  \(memory >> 20) MiB  \(clock(left)) left"
  }

  private func show(_ text: String, isLast: Bool) {
    let start = isTerminal ? "\r\u{1B}[K" : ""
    // A terminal that went away must not end the run.
    try? FileHandle.standardError.write(contentsOf: Data((start + text + (isLast ? "\n" : "")).utf8))
  }
}

private func fixed(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }

private func clock(_ seconds: Double) -> String {
  let seconds = Int(min(seconds, 1e8))
  return String(format: "%d:%02d:%02d", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
