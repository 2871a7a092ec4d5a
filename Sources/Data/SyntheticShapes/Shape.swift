import Foundation

extension SyntheticShapes {
  /// A class of pictures; its raw value is its label.
  public enum Shape: Int, Sendable, CaseIterable {
    /// A disc.
    case circle
    /// Four equal sides and angles.
    case square
    /// Three equal sides.
    case triangle
    /// Five points.
    case star
    /// A disc with a round hole in its middle.
    case ring
    /// A plus sign of equal arms.
    case cross
    /// A disc without another, shifted disc.
    case crescent
    /// A square on its corner with two half discs.
    case heart
    /// A shaft with a head.
    case arrow
    /// Two triangles that meet at a corner.
    case hourglass

    /// The name of the class.
    public var name: String { String(describing: self) }

    /// The shape around the origin, with an area of 1: areas and so colour statistics do not give the class away.
    var outline: Outline { Self.outlines[rawValue] }

    private static let outlines = allCases.map { $0.plainOutline.scaledToUnitArea() }

    private var plainOutline: Outline {
      switch self {
      case .circle: Outline(added: [.disc(center: .zero, radius: 1)])
      case .square: Outline(added: [.polygon(regular(4))])
      case .triangle: Outline(added: [.polygon(regular(3))])
      case .star:
        Outline(
          added: [
            .polygon(zip(regular(5), regular(5, turn: 0.5, radius: 0.42)).flatMap { [$0, $1] })
          ])
      case .ring:
        Outline(
          added: [.disc(center: .zero, radius: 1)], removed: [.disc(center: .zero, radius: 0.55)])
      case .cross:
        Outline(
          added: [
            .polygon([[-1, -0.3], [1, -0.3], [1, 0.3], [-1, 0.3]]),
            .polygon([[-0.3, -1], [0.3, -1], [0.3, 1], [-0.3, 1]]),
          ])
      case .crescent:
        Outline(
          added: [.disc(center: .zero, radius: 1)], removed: [.disc(center: [0.55, 0], radius: 0.8)])
      case .heart:
        Outline(
          added: [
            .polygon(regular(4)),
            .disc(center: [-0.5, -0.5], radius: Float(0.5).squareRoot()),
            .disc(center: [0.5, -0.5], radius: Float(0.5).squareRoot()),
          ])
      case .arrow:
        Outline(
          added: [
            .polygon([[-1, -0.22], [0.1, -0.22], [0.1, 0.22], [-1, 0.22]]),
            .polygon([[0.1, -0.7], [1, 0], [0.1, 0.7]]),
          ])
      case .hourglass:
        Outline(
          added: [
            .polygon([[-0.75, -1], [0.75, -1], [0.1, 0], [0.75, 1], [-0.75, 1], [-0.1, 0]])
          ])
      }
    }
  }
}

/// The corners of a regular polygon, turned by a part of the angle between two of them.
private func regular(_ count: Int, turn: Double = 0, radius: Double = 1) -> [SIMD2<Float>] {
  (0..<count).map { corner in
    let angle = 2 * Double.pi * (Double(corner) + turn) / Double(count)
    return SIMD2(Float(radius * cos(angle)), Float(radius * sin(angle)))
  }
}
