import Randomness
import CTorch

extension Tensor {
  /// Numbers in `[low, high)` that depend on nothing but `key`, the position and the range.
  ///
  /// The state starts at the FNV-1a hash of `key`; element `i`, in row-major order, takes the `i`-th SplitMix64
  /// word `z` (`CounterRandom`): `u = (z >> 40) / 2^24`, `value = Float(low + (high - low) * u)`, computed in
  /// double precision and rounded once. A model filled so by its parameters' keys has the same weights in any
  /// program, without a file.
  ///
  /// - Parameters:
  ///   - shape: the sizes.
  ///   - key: names the tensor.
  ///   - low: the lower end of the range.
  ///   - high: the upper end of the range.
  ///   - dtype: what the float32 values are converted to.
  /// - Returns: a tensor on the CPU.
  public static func filled(
    _ shape: [Int], key: String, low: Double = -1, high: Double = 1, dtype: DType = .float32
  ) -> Tensor {
    let sizes = shape.map(Int64.init)
    return Tensor(
      ct_uniform_fill(sizes, Int32(sizes.count), CounterRandom.hash(key), low, high),
      "filled(\(shape), key: \(key))"
    ).to(dtype)
  }
}
