import Foundation
import Scan
import Testing

@testable import Training

@Suite struct MetricsHistoryTests {
  static func step(_ step: Int, epoch: Int = 0, loss: Double = 1, rate: Double = 100, seconds: Double? = nil)
    -> String
  {
    #"{"kind":"step","step":\#(step),"epoch":\#(epoch),"loss":\#(loss),"learning_rate":0.001,"gradient_norm":2,"#
      + #""images_per_second":\#(rate),"memory_bytes":1000"#
      + (seconds.map { #","seconds":\#($0)"# } ?? "") + "}\n"
  }

  static func epoch(_ epoch: Int, step: Int, top1: Double, seconds: Double? = nil) -> String {
    #"{"kind":"epoch","step":\#(step),"epoch":\#(epoch),"training_loss":1.5,"loss":1.25,"top1":\#(top1),"top5":99,"#
      + #""is_best":true"# + (seconds.map { #","seconds":\#($0)"# } ?? "") + "}\n"
  }

  @Test func linesAreRead() throws {
    let history = MetricsHistory(
      Self.step(1, loss: 2.5, rate: 10) + Self.step(2, rate: 30) + Self.step(3, rate: 20)
        + Self.epoch(0, step: 3, top1: 50) + Self.epoch(1, step: 6, top1: 75)
        + Self.epoch(2, step: 9, top1: 75))
    #expect(history.steps.map(\.step) == [1, 2, 3])
    #expect(history.steps.first?.loss == 2.5)
    #expect(history.epochs.map(\.top1) == [50, 75, 75])
    #expect(history.best?.epoch == 1)
    #expect(history.imagesPerSecond == 20)
    #expect(history.seconds == nil)
    #expect(history.unreadableLines == 0)
  }

  /// A run that went on from step 2 after it had written up to step 5, with and without the old lines in the log.
  @Test func laterLinesReplaceEarlierOnes() {
    let history = MetricsHistory(
      Self.step(1, loss: 1, seconds: 1) + Self.step(2, loss: 2, seconds: 2) + Self.epoch(0, step: 3, top1: 10)
        + Self.step(4, epoch: 1, loss: 4) + Self.step(5, epoch: 1, loss: 5, seconds: 9)
        + Self.step(3, loss: 33, seconds: 0.5) + Self.epoch(0, step: 3, top1: 20)
        + Self.step(4, epoch: 1, loss: 44, seconds: 2))
    #expect(history.steps.map(\.loss) == [1, 2, 33, 44])
    #expect(history.epochs.map(\.top1) == [20])
    #expect(history.seconds == 11)
  }

  @Test(arguments: [
    "{\"kind\":\"step\",\"st", "{\"kind\":\"other\"}\n", "no JSON\n", "{\"kind\":\"epoch\"}\n", "[]\n",
  ])
  func whatCannotBeReadIsCounted(line: String) {
    let history = MetricsHistory(Self.step(1) + line)
    #expect(history.steps.count == 1)
    #expect(history.unreadableLines == 1)
  }

  @Test func aLogWrittenIsRead() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "ganglion-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(at: folder) }
    let run = RunFolder(url: folder)
    func write(_ steps: ClosedRange<Int>, from progress: Training.Progress?) throws {
      let log = try JSONLog(run, interval: 2, resumingAt: progress)
      for step in steps {
        try log.didStep(
          StepRecord(
            step: step, steps: 6, epoch: step > 4 ? 1 : 0, epochs: 2, loss: Double(step), learningRate: 0.1,
            gradientNorm: 1, imageCount: 4))
      }
    }
    try write(1...6, from: nil)
    var progress = Training.Progress()
    (progress.step, progress.epoch) = (4, 1)
    try write(5...6, from: progress)
    let history = try MetricsHistory(contentsOf: run.metrics)
    #expect(history.unreadableLines == 0)
    #expect(history.steps.map(\.step) == [2, 4, 6])
    #expect(history.engines.map(\.step) == [0, 4])
    #expect(history.engines.map(\.engine.libtorch) == ["2.11.0", "2.11.0"])
    #expect(try #require(history.seconds) > 0)
  }
}
