import Evaluation
import Foundation

/// The scalars of a run in TensorBoard's format.
///
/// A TFRecord file: for each record its length (UInt64), the masked CRC-32C of the length, the record and its masked
/// CRC-32C, all little-endian. A record is a protocol buffer `Event` (tensorflow/core/util/event.proto): 1 wall_time
/// (double), 2 step (int64), 3 file_version (string), 5 summary, whose repeated field 1 holds 1 tag (string) and
/// 2 simple_value (float).
public final class EventFile: TrainingObserver {
  private let file: AppendedFile
  private let interval: Int

  /// Starts a file in the run's folder; a resumed run gets one more.
  ///
  /// - Parameters:
  ///   - folder: the run's folder.
  ///   - interval: steps between points.
  /// - Throws: ``TrainingError`` if the file cannot be written.
  public init(_ folder: RunFolder, interval: Int) throws {
    self.interval = interval
    let now = Date.now.timeIntervalSince1970
    let name = "events.out.tfevents.\(Int(now * 1000)).\(ProcessInfo.processInfo.hostName)"
    file = try AppendedFile(folder.url.appending(path: name))
    try file.append(Self.record(Self.versionEvent(wallTime: now)))
  }

  public func didStep(_ record: StepRecord) throws {
    guard record.step % interval == 0 || record.step == record.steps else { return }
    try write(
      [("training/loss", record.loss), ("training/learning_rate", record.learningRate)]
        + (record.gradientNorm.map { [("training/gradient_norm", $0)] } ?? []), step: record.step)
  }

  public func didEndEpoch(_ record: EpochRecord) throws {
    try write(
      [
        ("validation/loss", record.score.loss), ("validation/top1", record.score.top1),
        ("validation/top5", record.score.top5),
      ], step: record.step)
  }

  private func write(_ scalars: [(String, Double)], step: Int) throws {
    let event = Self.event(scalars, step: step, wallTime: Date.now.timeIntervalSince1970)
    try file.append(Self.record(event))
  }

  /// The frame of a record.
  static func record(_ event: [UInt8]) -> Data {
    let length = littleEndian(UInt64(event.count))
    return Data(length + littleEndian(maskedCRC32C(length)) + event + littleEndian(maskedCRC32C(event)))
  }

  /// The first event of every file.
  static func versionEvent(wallTime: Double) -> [UInt8] {
    field(1, wallTime) + field(3, Array("brain.Event:2".utf8))
  }

  /// An event with scalars by tag.
  static func event(_ scalars: [(String, Double)], step: Int, wallTime: Double) -> [UInt8] {
    let values = scalars.flatMap { tag, value in
      field(1, field(1, Array(tag.utf8)) + [2 << 3 | 5] + littleEndian(Float(value).bitPattern))
    }
    return field(1, wallTime) + [2 << 3 | 0] + varint(UInt64(step)) + field(5, values)
  }

  private static func field(_ number: UInt8, _ value: Double) -> [UInt8] {
    [number << 3 | 1] + littleEndian(value.bitPattern)
  }

  private static func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] {
    [number << 3 | 2] + varint(UInt64(bytes.count)) + bytes
  }

  private static func varint(_ value: UInt64) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    return bytes + [UInt8(rest)]
  }
}

private func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
  withUnsafeBytes(of: value.littleEndian) { Array($0) }
}

/// The CRC-32C of the bytes, rotated and offset as TFRecord stores it.
func maskedCRC32C(_ bytes: [UInt8]) -> UInt32 {
  let crc = crc32C(bytes)
  return (crc >> 15 | crc << 17) &+ 0xa282_ead8
}

/// The cyclic redundancy check of RFC 3720, appendix B.4 (Castagnoli's polynomial, reflected).
func crc32C(_ bytes: [UInt8]) -> UInt32 {
  ~bytes.reduce(~0) { crc, byte in
    (0..<8).reduce(crc ^ UInt32(byte)) { crc, _ in crc & 1 == 1 ? crc >> 1 ^ 0x82f6_3b78 : crc >> 1 }
  }
}
