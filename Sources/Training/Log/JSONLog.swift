import Foundation
public import Scan
public import Torch

/// The metrics log: a JSON object a line, for what computes, every interval of steps and every epoch.
///
/// ``MetricsHistory`` reads it.
public final class JSONLog: TrainingObserver {
  private struct Position: Decodable {
    let kind: String
    let step, epoch: Int

    func isBefore(_ progress: Progress) -> Bool {
      kind == "epoch" ? epoch < progress.epoch : step <= progress.step
    }
  }

  private let file: AppendedFile
  private let interval: Int
  private let device: Device
  private let encoder = JSONEncoder()
  private let start = ContinuousClock.now
  private var rate = RateMeter()
  /// Waits for the first step or epoch, so that a run that never took one leaves no trace.
  private var engineLine: EngineLine?

  /// Opens the log of a run.
  ///
  /// - Parameters:
  ///   - folder: the run's folder.
  ///   - interval: steps between lines.
  ///   - progress: where the run goes on; lines from beyond are dropped, as they will be written again.
  ///   - device: where the model lives.
  ///   - engine: what computes; what the current task computes with there if absent.
  /// - Throws: ``TrainingError`` if the file cannot be written.
  public init(
    _ folder: RunFolder, interval: Int, resumingAt progress: Progress? = nil, device: Device = .cpu,
    engine: EngineDescription? = nil
  ) throws {
    self.interval = interval
    self.device = device
    engineLine = EngineLine(
      step: progress?.step ?? 0, epoch: progress?.epoch ?? 0,
      engine: engine ?? EngineDescription(device: device))
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
        record, imagesPerSecond: rate.perSecond, memoryBytes: residentMemory(),
        deviceMemoryBytes: device.memory?.peakAllocated, seconds: seconds))
  }

  public func didEndEpoch(_ record: EpochRecord) throws {
    try write(EpochLine(record, seconds: seconds))
    rate = RateMeter()
  }

  private var seconds: Double { (ContinuousClock.now - start) / .seconds(1) }

  private func write(_ line: some Encodable) throws {
    if let engineLine {
      self.engineLine = nil
      try write(engineLine)
    }
    try file.append(encoder.encode(line) + Data("\n".utf8))
  }
}
