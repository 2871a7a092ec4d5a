import Evaluation
import Foundation

/// The metrics log: a JSON object a line, for every interval of steps and every epoch.
public final class JSONLog: TrainingObserver {
  private struct StepLine: Encodable {
    let kind = "step"
    let step, epoch: Int
    let loss, learningRate, gradientNorm, imagesPerSecond: Double
    let memoryBytes: Int
  }

  private struct EpochLine: Encodable {
    let kind = "epoch"
    let step, epoch: Int
    let trainingLoss, loss, top1, top5: Double
    let isBest: Bool
  }

  private struct Position: Decodable {
    let kind: String
    let step, epoch: Int

    func isBefore(_ progress: Progress) -> Bool {
      kind == "epoch" ? epoch < progress.epoch : step <= progress.step
    }
  }

  private let file: AppendedFile
  private let interval: Int
  private let encoder = JSONEncoder()
  private var rate = RateMeter()

  /// Opens the log of a run.
  ///
  /// - Parameters:
  ///   - folder: the run's folder.
  ///   - interval: steps between lines.
  ///   - progress: where the run goes on; lines from beyond are dropped, as they will be written again.
  /// - Throws: ``TrainingError`` if the file cannot be written.
  public init(_ folder: RunFolder, interval: Int, resumingAt progress: Progress? = nil) throws {
    self.interval = interval
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = .sortedKeys
    if let progress, let text = try? String(contentsOf: folder.metrics, encoding: .utf8) {
      let decoder = JSONDecoder()
      let kept = text.split(separator: "\n").filter { line in
        (try? decoder.decode(Position.self, from: Data(line.utf8)))?.isBefore(progress) ?? false
      }
      try writeWhole(Data(kept.map { $0 + "\n" }.joined().utf8), to: folder.metrics)
    }
    file = try AppendedFile(folder.metrics)
  }

  public func didStep(_ record: StepRecord) throws {
    rate.add(record.imageCount)
    guard record.step % interval == 0 || record.step == record.steps else { return }
    try write(
      StepLine(
        step: record.step, epoch: record.epoch, loss: record.loss, learningRate: record.learningRate,
        gradientNorm: record.gradientNorm, imagesPerSecond: rate.perSecond, memoryBytes: residentMemory()))
  }

  public func didEndEpoch(_ record: EpochRecord) throws {
    try write(
      EpochLine(
        step: record.step, epoch: record.epoch, trainingLoss: record.trainingLoss, loss: record.score.loss,
        top1: record.score.top1, top5: record.score.top5, isBest: record.isBest))
    rate = RateMeter()
  }

  private func write(_ line: some Encodable) throws {
    try file.append(encoder.encode(line) + Data("\n".utf8))
  }
}
