public import Data
public import Evaluation
public import Layers
public import Torch

/// What a model says of every sample of a set.
public struct Scoring: Sendable {
  /// What it says of one sample.
  public struct Verdict: Hashable, Sendable {
    /// The sample's index in the set.
    public let index: Int
    /// The true class.
    public let label: Int
    /// The most probable classes, most probable first.
    public let classes: [Int]
    /// Their probabilities, 0...1.
    public let probabilities: [Double]

    /// Whether the most probable class is the true one.
    public var isRight: Bool { classes.first == label }
  }

  /// The score of the whole set.
  public private(set) var score: ClassificationScore
  /// One entry for each sample, in the set's order.
  public private(set) var verdicts: [Verdict] = []
  /// The wall-clock time in seconds, reading included.
  public private(set) var seconds = 0.0

  /// A scoring of no samples.
  public init(classes: Int) { score = ClassificationScore(classes: classes) }

  /// Shows a network every sample.
  ///
  /// - Parameters:
  ///   - network: from images `[B, 3, H, W]` to logits `[B, classes]`, in evaluation mode.
  ///   - loader: the samples in order.
  ///   - workers: threads that read and transform.
  ///   - device: where the network's parameters live.
  ///   - report: is told how many samples are done.
  /// - Returns: the scoring.
  /// - Throws: the data set's error, naming the file, or `TorchError` if the network cannot compute.
  nonisolated(nonsending)
    public static func of(
      _ network: any Layer, on loader: DataLoader, workers: Int, device: Device = .cpu,
      report: (Int) -> Void = { _ in }
    ) async throws -> Scoring
  {
    let clock = ContinuousClock()
    let start = clock.now
    var scoring = Scoring(classes: loader.dataset.classNames.count)
    for try await batch in loader.epoch(0).batches(workerCount: workers) {
      try scoring.add(batch, network, device)
      report(scoring.score.count)
    }
    scoring.seconds = (clock.now - start) / .seconds(1)
    return scoring
  }

  private mutating func add(_ batch: Batch, _ network: any Layer, _ device: Device) throws {
    let logits = try withTorchErrors {
      withoutGradients {
        network(Tensor(batch.pixels, batch.shape).sent(to: device)).to(device: .cpu, dtype: .float32)
      }
    }
    add(logits, batch.labels, batch.indices)
  }

  /// Adds logits `[B, classes]` of samples with these labels and indices.
  mutating func add(_ logits: Tensor, _ labels: [Int64], _ indices: [Int]) {
    score.add(logits, labels)
    let kept = min(Self.kept, logits.size(1))
    let top = logits.softmax(-1).topK(kept)
    let (probabilities, classes) = (top.values.array(Double.self), top.indices.array(Int.self))
    for (row, index) in indices.enumerated() {
      let range = row * kept..<(row + 1) * kept
      verdicts.append(
        Verdict(
          index: index, label: Int(labels[row]), classes: Array(classes[range]),
          probabilities: Array(probabilities[range])))
    }
  }

  /// The classes that are kept of each sample.
  private static let kept = 3
}

extension Scoring {
  /// Samples that were recognised, one of each of up to `count` classes spread over all of them.
  func examples(_ count: Int) -> [Verdict] {
    var first: [Int: Verdict] = [:]
    for verdict in verdicts where verdict.isRight && first[verdict.label] == nil {
      first[verdict.label] = verdict
    }
    let labels = first.keys.sorted()
    let number = min(count, labels.count)
    return (0..<number).compactMap { first[labels[$0 * labels.count / number]] }
  }

  /// The samples of which the model was wrong with the highest probability, worst first.
  func mistakes(_ count: Int) -> [Verdict] {
    let wrong = verdicts.filter { !$0.isRight }
    return Array(
      wrong.sorted { a, b in
        let (p, q) = (a.probabilities.first ?? 0, b.probabilities.first ?? 0)
        return p == q ? a.index < b.index : p > q
      }.prefix(count))
  }

  /// A class that is taken for another.
  struct Confusion: Hashable {
    let label, predicted, count: Int
    /// The samples of the true class.
    let total: Int
  }

  /// The pairs of classes that are most often confused, by number of samples.
  func confusions(_ count: Int) -> [Confusion] {
    let pairs = score.confusion.enumerated().flatMap { label, row in
      let total = row.reduce(0, +)
      return row.enumerated().compactMap { predicted, count in
        predicted == label || count == 0
          ? nil : Confusion(label: label, predicted: predicted, count: count, total: total)
      }
    }
    return Array(
      pairs.sorted { ($1.count, $0.label, $0.predicted) < ($0.count, $1.label, $1.predicted) }.prefix(count))
  }
}
