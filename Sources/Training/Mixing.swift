import Randomness
import Foundation
public import Torch

/// Mixup and CutMix of a batch with itself in reverse order, and the soft targets that follow.
///
/// Zhang et al., "mixup" (1710.09412), section 2; Yun et al., "CutMix" (1905.04899), section 3.1, with the share of
/// labels recomputed from the clipped rectangle. Which of the two, λ and the rectangle are the same for a whole batch
/// and a function of (seed, step).
public struct Mixing: Hashable, Sendable {
  /// What happens to one batch.
  public enum Draw: Hashable, Sendable {
    /// Nothing.
    case none
    /// x ← λ x + (1 - λ) reversed x.
    case mixup(share: Double)
    /// The rectangle comes from the reversed batch; `share` of the picture stays.
    case cutmix(rows: Range<Int>, columns: Range<Int>, share: Double)

    /// The share λ of a target that stays the sample's own.
    public var share: Double {
      switch self {
      case .none: 1
      case .mixup(let share): share
      case .cutmix(_, _, let share): share
      }
    }
  }

  let recipe: Recipe.Mixing
  let seed: UInt64

  /// The mixing that a recipe asks for.
  public init(_ recipe: Recipe) {
    self.recipe = recipe.mixing
    seed = recipe.seed
  }

  /// Whether any batch may be mixed.
  public var isActive: Bool { recipe.probability > 0 && (recipe.mixup > 0 || recipe.cutmix > 0) }

  /// What happens to the batch of `step`, of pictures of that size in pixels.
  public func draw(step: Int, height: Int, width: Int) -> Draw {
    guard isActive else { return .none }
    var random = CounterRandom(seed: seed, UInt64(step), CounterRandom.hash("mixing"))
    guard random.unit() < recipe.probability else { return .none }
    let cuts = recipe.mixup == 0 || recipe.cutmix > 0 && random.unit() < recipe.switchProbability
    guard cuts else { return .mixup(share: random.nextBeta(recipe.mixup)) }
    let side = (1 - random.nextBeta(recipe.cutmix)).squareRoot()
    func span(_ length: Int) -> Range<Int> {
      let half = Int(Double(length) * side) / 2
      let center = Int(random.unit() * Double(length))
      return max(0, center - half)..<min(length, center + half)
    }
    let (rows, columns) = (span(height), span(width))
    return .cutmix(
      rows: rows, columns: columns, share: 1 - Double(rows.count * columns.count) / Double(height * width))
  }

  /// The mixed images `[B, C, H, W]`; the given ones are left alone.
  public static func mix(_ images: Tensor, _ draw: Draw) -> Tensor {
    switch draw {
    case .none: return images
    case .mixup(let share): return images * share + images.flip(0) * (1 - share)
    case .cutmix(let rows, let columns, _):
      if rows.isEmpty || columns.isEmpty { return images }
      let mixed = images.clone()
      mixed[..., 0..<images.size(1), rows, columns].copy(
        from: images.flip(0)[..., 0..<images.size(1), rows, columns])
      return mixed
    }
  }

  /// The soft targets `[B, classes]` of labels `[B]` (int64) under a mixing, smoothed.
  public static func targets(_ labels: Tensor, classes: Int, share: Double, smoothing: Double) -> Tensor {
    let own = labels.oneHot(classes).to(.float32) * (1 - smoothing) + smoothing / Double(classes)
    return own * share + own.flip(0) * (1 - share)
  }
}

extension CounterRandom {
  /// A number of the distribution Beta(α, α).
  fileprivate mutating func nextBeta(_ alpha: Double) -> Double {
    let (a, b) = (nextGamma(alpha), nextGamma(alpha))
    return a + b > 0 ? a / (a + b) : 0.5
  }

  /// A number of the distribution Gamma(shape, 1): Marsaglia & Tsang, "A Simple Method for Generating Gamma
  /// Variables", ACM TOMS 2000, with their section 6 for shapes below 1.
  private mutating func nextGamma(_ shape: Double) -> Double {
    if shape < 1 {
      let power = pow(1 - unit(), 1 / shape)
      return nextGamma(shape + 1) * power
    }
    let d = shape - 1.0 / 3
    let c = 1 / (9 * d).squareRoot()
    while true {
      let x = normal()
      let v = pow(1 + c * x, 3)
      if v > 0, log(1 - unit()) < x * x / 2 + d - d * v + d * log(v) { return d * v }
    }
  }
}
