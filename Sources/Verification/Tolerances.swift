public import Torch

/// How far from the reference a run may be.
///
/// A float32 run is held to a small multiple of the official code's own float32 error, since mistakes are small: the
/// approximate form of GELU moves the logits of SparX-Mamba-T by 1e-4 only. A float64 run is held to the digits of
/// the file.
public struct Tolerances: Sendable {
  /// The element type of the run.
  public let dtype: DType

  /// The rules for a run in float32 or float64.
  public init(_ dtype: DType) { self.dtype = dtype }

  private var isDouble: Bool { dtype == .float64 }

  /// Of logits and features, relative to the largest magnitude, given the official code's float32 error.
  func outputs(float32Error: Double) -> Double { isDouble ? 1e-8 : max(2e-5, 10 * float32Error) }

  /// Of norms and elements of gradients.
  var gradients: Double { isDouble ? 1e-7 : 2e-3 }

  /// Below this share of the largest norm, gradients are noise of a zero, and are compared with the largest norm.
  let negligible = 1e-6

  /// Of losses, relative to the largest.
  func loss(_ train: Reference.Train, step: Int) -> Double {
    let largest = train.losses.map(\.magnitude).max() ?? 1
    if isDouble { return 1e-7 }
    let reference = train.losses[step]
    var allowed = max(1e-4 * reference.magnitude, 10 * (train.float32Losses[step] - reference).magnitude)
    // The exponentials of a softmax sum to about 1, so losses near 0 have no finer steps than its rounding.
    allowed = max(allowed, Double(Float.ulpOfOne))
    // AdamW divides a tiny gradient by its own size, so fast runs drift apart once the images are memorised.
    if step >= 4 && train.optimizer.learningRate >= 1e-3 { allowed = max(allowed, 1e-2 * train.losses[0]) }
    return allowed / largest
  }

  /// Of what a training run leaves behind: logits, running statistics and parameters.
  ///
  /// Where the official code's own float32 losses drift further than that, relative to each, so may these, up to a tenth.
  func trained(_ train: Reference.Train) -> Double {
    if isDouble { return gradients }
    let drifts = zip(train.losses, train.float32Losses).filter { $0.0 != 0 }
      .map { ($0 - $1).magnitude / $0.magnitude }
    return min(0.1, max(gradients, drifts.max() ?? 0))
  }
}
