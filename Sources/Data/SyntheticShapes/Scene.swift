import Randomness
import Foundation

/// What a picture of ``SyntheticShapes`` shows, drawn at random before any pixel.
///
/// Lengths are in units of the picture's side. Everything but the outline is drawn without regard to the class.
struct Scene: Sendable {
  let background: Texture
  let clutter: [(outline: Outline, color: SIMD3<Float>)]
  let object: Outline
  let fill: Texture
  /// The change of brightness across the picture, per unit.
  let lighting: SIMD2<Float>
  let noise: Float

  init(of shape: SyntheticShapes.Shape, using random: inout CounterRandom) {
    let colors = Self.contrastingColors(using: &random)
    background = Texture(colors: (colors.0, Self.companion(of: colors.0, using: &random)), using: &random)
    fill = Texture(colors: (colors.1, Self.companion(of: colors.1, using: &random)), using: &random)

    let outline = shape.outline
    let side = Float(random.uniform(in: 0.34...0.5))
    let reach = min(outline.radius * side, 0.49)
    let angle = random.uniform(in: 0...(2 * .pi))
    object = outline.placed(
      at: Self.point(margin: reach, using: &random),
      axis: SIMD2(Float(cos(angle)), Float(sin(angle))) * (reach / outline.radius))

    clutter = (0..<random.integer(in: 4..<11)).map { _ in
      (Self.crumb(using: &random), Self.color(using: &random))
    }
    lighting = SIMD2(Float(random.uniform(in: -0.3...0.3)), Float(random.uniform(in: -0.3...0.3)))
    noise = Float(random.uniform(in: 0.01...0.04))
  }

  private static func point(margin: Float, using random: inout CounterRandom) -> SIMD2<Float> {
    let range = Double(margin)...Double(1 - margin)
    return SIMD2(Float(random.uniform(in: range)), Float(random.uniform(in: range)))
  }

  /// A small disc or bar.
  private static func crumb(using random: inout CounterRandom) -> Outline {
    let center = point(margin: 0, using: &random)
    let size = Float(random.uniform(in: 0.015...0.04))
    if random.chance(0.5) { return Outline(added: [.disc(center: center, radius: size)]) }
    let angle = random.uniform(in: 0...(2 * .pi))
    let bar = Outline(added: [.polygon([[-2, -0.4], [2, -0.4], [2, 0.4], [-2, 0.4]])])
    return bar.placed(at: center, axis: SIMD2(Float(cos(angle)), Float(sin(angle))) * size)
  }

  private static func color(using random: inout CounterRandom) -> SIMD3<Float> {
    SIMD3(Float(random.unit()), Float(random.unit()), Float(random.unit()))
  }

  /// Two colours that are well apart, in random roles: one for the background, one for the object.
  private static func contrastingColors(
    using random: inout CounterRandom
  ) -> (SIMD3<Float>, SIMD3<Float>) {
    while true {
      let (first, second) = (color(using: &random), color(using: &random))
      let difference = first - second
      if (difference * difference).sum() > 0.4 { return (first, second) }
    }
  }

  /// A second colour for a texture, near enough to the first that the pattern does not hide the object's edge.
  private static func companion(
    of color: SIMD3<Float>, using random: inout CounterRandom
  ) -> SIMD3<Float> {
    color + (Self.color(using: &random) - color) * 0.25
  }
}
