import Randomness
import Torch

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// How a parameter or buffer starts.
///
/// Random values are a function of (seed, key), so that adding a layer does not change the others.
public enum Initializer: Hashable, Sendable {
  /// Zeros.
  case zeros
  /// Ones.
  case ones
  /// One value everywhere.
  case constant(Double)
  /// Uniform in `-bound..<bound`.
  case uniform(bound: Double)
  /// Uniform in ±1/√fanIn, as PyTorch starts linear layers and convolutions.
  case fanInUniform(Int)
  /// Normal with mean 0, redrawn values beyond ±2 clipped there (timm's `trunc_normal_`).
  case truncatedNormal(deviation: Double)
  /// log(1), log(2), …, log(N) along the last dimension: the S4D-real start of a state matrix kept as A = -exp(·).
  case logRange
  /// The number whose softplus is log-uniform in the range: the start of a time step's bias.
  case inverseSoftplus(ClosedRange<Double>)

  func tensor(_ shape: [Int], seed: UInt64, key: String, dtype: DType) -> Tensor {
    switch self {
    case .zeros: return .zeros(shape, dtype: dtype)
    case .ones: return .ones(shape, dtype: dtype)
    case .constant(let value): return .full(shape, value, dtype: dtype)
    case .uniform(bound: let bound):
      return Tensor.uniform(shape, low: -bound, high: bound, generator: generator(seed, key)).to(dtype)
    case .fanInUniform(let fanIn):
      return Self.uniform(bound: 1 / Double(max(1, fanIn)).squareRoot()).tensor(
        shape, seed: seed, key: key, dtype: dtype)
    case .truncatedNormal(let deviation):
      return Tensor.normal(shape, deviation: deviation, generator: generator(seed, key)).clamped(-2, 2).to(
        dtype)
    case .logRange:
      let states = shape.last ?? 1
      return Tensor.arange(1, to: Double(states) + 1, dtype: dtype).log().expand(shape).clone()
    case .inverseSoftplus(let range):
      let unit = Tensor.uniform(shape, generator: generator(seed, key), dtype: .float64)
      let step = (unit * (log(range.upperBound) - log(range.lowerBound)) + log(range.lowerBound)).exp()
      return (step + (-((-step).expm1())).log()).to(dtype)
    }
  }

  private func generator(_ seed: UInt64, _ key: String) -> Generator {
    var draws = CounterRandom(seed: seed, CounterRandom.hash(key))
    return Generator(seed: draws.next())
  }
}
