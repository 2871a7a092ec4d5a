public import Foundation

/// What a run's metrics log tells.
///
/// A line that goes back to an earlier step stands for the steps from there on: what an interrupted run wrote beyond its
/// last checkpoint is replaced by what the resumed run wrote.
public struct MetricsHistory: Hashable, Sendable {
  /// What computed, from which step on.
  public private(set) var engines: [EngineLine] = []
  /// The logged steps, in order.
  public private(set) var steps: [StepLine] = []
  /// The finished epochs, in order.
  public private(set) var epochs: [EpochLine] = []
  /// The lines that could not be read, such as a last one that was cut off.
  public private(set) var unreadableLines = 0
  /// The wall-clock time of each start or resumption, in seconds.
  private var sessions: [Double] = []

  private struct Kind: Decodable { let kind: String }

  /// Reads a log.
  ///
  /// - Throws: what Foundation says of a file that cannot be read.
  public init(contentsOf file: URL) throws {
    self.init(String(decoding: try Data(contentsOf: file), as: UTF8.self))
  }

  /// Reads the text of a log.
  public init(_ text: String) {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    for line in text.split(whereSeparator: \.isNewline) {
      do {
        let data = Data(line.utf8)
        switch try decoder.decode(Kind.self, from: data).kind {
        case "engine": add(try decoder.decode(EngineLine.self, from: data))
        case "step": add(try decoder.decode(StepLine.self, from: data))
        case "epoch": add(try decoder.decode(EpochLine.self, from: data))
        default: unreadableLines += 1
        }
      } catch {
        unreadableLines += 1
      }
    }
  }

  private mutating func add(_ line: EngineLine) {
    engines.append(line)
    steps.removeLast(while: { $0.step > line.step })
    epochs.removeLast(while: { $0.epoch >= line.epoch })
    sessions.append(0)
  }

  private mutating func add(_ line: StepLine) {
    steps.removeLast(while: { $0.step >= line.step })
    epochs.removeLast(while: { $0.step >= line.step })
    steps.append(line)
    note(line.seconds)
  }

  private mutating func add(_ line: EpochLine) {
    steps.removeLast(while: { $0.step > line.step })
    epochs.removeLast(while: { $0.epoch >= line.epoch })
    epochs.append(line)
    note(line.seconds)
  }

  private mutating func note(_ seconds: Double?) {
    guard let seconds else { return }
    if sessions.last.map({ seconds < $0 }) ?? true { sessions.append(0) }
    sessions[sessions.count - 1] = seconds
  }

  /// The epoch with the highest top-1 accuracy; the first of equals, as training keeps it.
  public var best: EpochLine? {
    epochs.reduce(nil) { best, epoch in best.map { $0.top1 >= epoch.top1 } ?? false ? best : epoch }
  }

  /// The wall-clock time of all starts and resumptions up to their last lines; `nil` if the log does not tell.
  public var seconds: Double? {
    let sum = sessions.reduce(0, +)
    return sum > 0 ? sum : nil
  }

  /// The middle of the logged rates of training, in images per second.
  public var imagesPerSecond: Double? {
    let rates = steps.map(\.imagesPerSecond).sorted()
    return rates.isEmpty ? nil : rates[rates.count / 2]
  }
}

extension Array {
  /// Removes elements from the end as long as they meet the condition.
  fileprivate mutating func removeLast(while condition: (Element) -> Bool) {
    while let last, condition(last) { removeLast() }
  }
}
