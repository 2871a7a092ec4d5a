public import Data
public import Layers
public import Torch

/// Scores a network on one pass over a data set.
///
/// The network is used as it is: the caller has set its mode to evaluation. A smaller last batch counts by its size.
///
/// - Parameters:
///   - network: from images `[B, 3, H, W]` to logits `[B, classes]`.
///   - loader: the samples, in any order.
///   - workers: threads that read and transform.
///   - device: where the network's parameters live.
///   - willContinue: is asked before each batch; false ends the pass with a `CancellationError`.
/// - Returns: the score.
/// - Throws: the data set's error, naming the file.
nonisolated(nonsending)
  public func evaluate(
    _ network: any Layer, on loader: DataLoader, workers: Int, device: Device = .cpu,
    whileTrue willContinue: () -> Bool = { true }
  ) async throws -> ClassificationScore
{
  var score = ClassificationScore(classes: loader.dataset.classNames.count)
  for try await batch in loader.epoch(0).batches(workerCount: workers) {
    guard willContinue() else { throw CancellationError() }
    let logits = withoutGradients { network(Tensor(batch.pixels, batch.shape).to(device: device)) }
    score.add(logits, batch.labels)
  }
  return score
}
