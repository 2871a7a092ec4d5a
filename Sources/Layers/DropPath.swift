import Randomness
public import Torch

/// Stochastic depth: in training, each sample of a batch loses the branch with probability `rate`.
///
/// Huang et al., "Deep Networks with Stochastic Depth" (1603.09382), with kept samples divided by 1 - rate as timm does.
/// Whether a sample is kept is a function of (seed, step, layer key, position in the batch).
public struct DropPath: Layer {
  /// The probability that a sample loses the branch.
  public let rate: Double
  /// Whether it belongs to a prepared model.
  var isPrepared: Bool { mode.isPrepared }
  private let key: String
  private let mode: Mode

  /// A drop path whose draws are named by `scope`.
  public init(_ scope: Scope, rate: Double) {
    if !(0..<1).contains(rate) {
      fatalError("DropPath `\(scope.key)`: the rate must be in 0..<1, got \(rate)")
    }
    self.rate = rate
    key = scope.key
    mode = scope.mode
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    guard rate > 0, mode.isTraining else { return x }
    var draws = mode.draws(key)
    let batch = x.size(0)
    let factors = (0..<batch).map { _ in draws.chance(rate) ? 0 : Float(1 / (1 - rate)) }
    let shape = [batch] + Array(repeating: 1, count: max(0, x.rank - 1))
    return x * Tensor(factors, shape).to(device: x.device, dtype: x.dtype, nonBlocking: true)
  }
}
