public import Torch

/// How well logits agree with labels, gathered batch by batch.
public struct ClassificationScore: Hashable, Sendable {
  /// The samples of each true class (rows) by predicted class (columns), `[classes][classes]`.
  public private(set) var confusion: [[Int]]
  /// The samples whose label is among the five largest logits.
  public private(set) var top5Count = 0
  /// The sum of the samples' cross-entropies.
  public private(set) var lossSum = 0.0
  /// The number of samples.
  public private(set) var count = 0

  /// A score of no samples.
  public init(classes: Int) {
    confusion = Array(repeating: Array(repeating: 0, count: classes), count: classes)
  }

  /// Adds a batch.
  ///
  /// - Parameters:
  ///   - logits: `[B, classes]`.
  ///   - labels: the true classes, B of them.
  public mutating func add(_ logits: Tensor, _ labels: [Int64]) {
    let (B, classes) = logits.shape2
    require(
      B == labels.count && classes == confusion.count,
      "ClassificationScore: expected logits [\(labels.count), \(confusion.count)], got \(logits.shape)")
    let (best, loss) = withoutGradients {
      let logits = logits.detached().to(device: .cpu, dtype: .float32)
      return (
        logits.topK(min(5, classes)).indices.array(Int.self),
        logits.crossEntropy(Tensor(labels)).item()
      )
    }
    let ranks = best.count / max(1, B)
    for (sample, label) in labels.enumerated() {
      let predictions = best[(sample * ranks)..<((sample + 1) * ranks)]
      confusion[Int(label)][predictions[predictions.startIndex]] += 1
      if predictions.contains(Int(label)) { top5Count += 1 }
    }
    lossSum += loss * Double(B)
    count += B
  }

  /// The mean cross-entropy; 0 for no samples.
  public var loss: Double { count == 0 ? 0 : lossSum / Double(count) }

  /// The percentage of samples whose largest logit is the label's.
  public var top1: Double { percentage(confusion.indices.reduce(0) { $0 + confusion[$1][$1] }, of: count) }

  /// The percentage of samples whose label is among the five largest logits.
  public var top5: Double { percentage(top5Count, of: count) }

  /// For each class the percentage of its samples that were recognised; `nil` for a class without samples.
  public var perClass: [Double?] {
    confusion.enumerated().map { label, row in
      let samples = row.reduce(0, +)
      return samples == 0 ? nil : percentage(row[label], of: samples)
    }
  }

  private func percentage(_ part: Int, of whole: Int) -> Double {
    whole == 0 ? 0 : 100 * Double(part) / Double(whole)
  }
}
