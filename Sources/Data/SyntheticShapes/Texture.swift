import Randomness
import Foundation

/// A two-coloured pattern over the plane.
struct Texture: Sendable {
  enum Pattern: CaseIterable {
    case plain, stripes, checks, spots, clouds
  }

  let pattern: Pattern
  let colors: (SIMD3<Float>, SIMD3<Float>)
  /// The direction of the pattern, its length the number of periods per unit.
  let axis: SIMD2<Float>
  let phase: SIMD2<Float>
  /// The values of noise at whole coordinates, repeated every 16 in both directions.
  let lattice: [Float]

  /// A random pattern of two colours.
  init(colors: (SIMD3<Float>, SIMD3<Float>), using random: inout CounterRandom) {
    self.colors = colors
    pattern = Pattern.allCases[random.integer(in: 0..<Pattern.allCases.count)]
    let angle = random.uniform(in: 0...(2 * .pi))
    let frequency = random.uniform(in: 4...9)
    axis = SIMD2(Float(frequency * cos(angle)), Float(frequency * sin(angle)))
    phase = SIMD2(Float(random.unit()), Float(random.unit()))
    lattice = pattern == .clouds ? (0..<256).map { _ in Float(random.unit()) } : []
  }

  /// The colour at a point.
  func color(at point: SIMD2<Float>) -> SIMD3<Float> {
    colors.0 + (colors.1 - colors.0) * share(at: point)
  }

  /// How much of the second colour there is at a point, 0 to 1.
  private func share(at point: SIMD2<Float>) -> Float {
    let turned =
      SIMD2(point.x * axis.x + point.y * axis.y, point.y * axis.x - point.x * axis.y) + phase
    switch pattern {
    case .plain: return 0
    case .stripes: return wave(turned.x)
    case .checks: return wave(turned.x) > 0.5 ? wave(turned.y) : 1 - wave(turned.y)
    case .spots:
      let offset = turned - turned.rounded(.toNearestOrEven)
      return (offset * offset).sum() < 0.08 ? 1 : 0
    case .clouds: return noise(at: turned)
    }
  }

  /// A triangle wave of period 1 with steep flanks, so that it shows as bands.
  private func wave(_ x: Float) -> Float {
    let triangle = abs(2 * (x - x.rounded(.down)) - 1)
    return min(max(triangle * 4 - 1.5, 0), 1)
  }

  /// Lattice values, blended between whole coordinates.
  private func noise(at point: SIMD2<Float>) -> Float {
    let base = point.rounded(.down)
    let (column, row) = (Int(base.x), Int(base.y))
    let share = point - base
    func value(_ right: Int, _ down: Int) -> Float {
      lattice[((row + down) & 15) * 16 + ((column + right) & 15)]
    }
    let upper = value(0, 0) + (value(1, 0) - value(0, 0)) * share.x
    let lower = value(0, 1) + (value(1, 1) - value(0, 1)) * share.x
    return upper + (lower - upper) * share.y
  }
}
