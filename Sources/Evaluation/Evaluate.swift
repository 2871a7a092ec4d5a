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
///   - precision: the type of matrix products and convolutions by automatic casts; `nil` for that of the parameters.
///   - format: the order of the images in memory; `nil` for positions of a channel together.
///   - willContinue: is asked before each batch; false ends the pass with a `CancellationError`.
/// - Returns: the score.
/// - Throws: the data set's error, naming the file.
nonisolated(nonsending)
  public func evaluate(
    _ network: any Layer, on loader: DataLoader, workers: Int, device: Device = .cpu,
    precision: DType? = nil, format: MemoryFormat? = nil, whileTrue willContinue: () -> Bool = { true }
  ) async throws -> ClassificationScore
{
  var score = ClassificationScore(classes: loader.dataset.classNames.count)
  var launched: (logits: Tensor, labels: [Int64])?
  for try await batch in loader.epoch(0).batches(workerCount: workers) {
    guard willContinue() else { throw CancellationError() }
    // On its way while the device is still at the batch before.
    let images = Tensor(batch.pixels, batch.shape).sent(to: device, format: format)
    if let launched { score.add(launched.logits, launched.labels) }
    let logits = withoutGradients { withAutocast(precision, on: device) { network(images) } }
    launched = (logits, batch.labels)
  }
  if let launched { score.add(launched.logits, launched.labels) }
  return score
}
