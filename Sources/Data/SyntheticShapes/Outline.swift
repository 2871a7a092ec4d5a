/// A plane figure made of discs and polygons, known by its signed distance.
///
/// Coordinates are (x, y) with y pointing down. Distances are negative inside, and exact outside of the figure's
/// corners, which is all that antialiasing needs.
struct Outline: Sendable {
  enum Part: Sendable {
    case disc(center: SIMD2<Float>, radius: Float)
    case polygon([SIMD2<Float>])
  }

  /// The figure is the union of `added` without `removed`.
  var added: [Part]
  var removed: [Part] = []

  /// The signed distance of a point to the figure's edge.
  func distance(to point: SIMD2<Float>) -> Float {
    let inside = added.reduce(Float.infinity) { min($0, $1.distance(to: point)) }
    return removed.reduce(inside) { max($0, -$1.distance(to: point)) }
  }

  /// The largest distance of a point of the figure from the origin.
  var radius: Float { added.map(\.radius).reduce(0, max) }

  /// The figure turned, scaled and moved: `origin` is where (0, 0) goes, `axis` where (1, 0) points and its length
  /// the scale.
  func placed(at origin: SIMD2<Float>, axis: SIMD2<Float>) -> Outline {
    Outline(
      added: added.map { $0.placed(at: origin, axis: axis) },
      removed: removed.map { $0.placed(at: origin, axis: axis) })
  }

  /// The figure scaled to an area of 1, measured on a grid.
  func scaledToUnitArea() -> Outline {
    let cells = 160
    let cell = 2 * radius / Float(cells)
    var covered = 0
    for row in 0..<cells {
      for column in 0..<cells {
        let point = (SIMD2(Float(column), Float(row)) + 0.5) * cell - radius
        if distance(to: point) < 0 { covered += 1 }
      }
    }
    return placed(at: .zero, axis: SIMD2(1 / (Float(covered) * cell * cell).squareRoot(), 0))
  }
}

extension Outline.Part {
  var radius: Float {
    switch self {
    case .disc(let center, let radius): length(center) + radius
    case .polygon(let corners): corners.map(length).reduce(0, max)
    }
  }

  func distance(to point: SIMD2<Float>) -> Float {
    switch self {
    case .disc(let center, let radius): length(point - center) - radius
    case .polygon(let corners): polygonDistance(from: point, to: corners)
    }
  }

  func placed(at origin: SIMD2<Float>, axis: SIMD2<Float>) -> Outline.Part {
    func place(_ point: SIMD2<Float>) -> SIMD2<Float> {
      origin + SIMD2(point.x * axis.x - point.y * axis.y, point.x * axis.y + point.y * axis.x)
    }
    return switch self {
    case .disc(let center, let radius): .disc(center: place(center), radius: radius * length(axis))
    case .polygon(let corners): .polygon(corners.map(place))
    }
  }
}

private func length(_ vector: SIMD2<Float>) -> Float {
  (vector.x * vector.x + vector.y * vector.y).squareRoot()
}

/// The distance to the nearest edge, negative if a ray from the point crosses an odd number of edges.
private func polygonDistance(from point: SIMD2<Float>, to corners: [SIMD2<Float>]) -> Float {
  corners.withUnsafeBufferPointer { corners in
    var nearest = Float.infinity
    var inside = false
    var previous = corners[corners.count - 1]
    for corner in corners {
      let (edge, offset) = (previous - corner, point - corner)
      let along = (offset.x * edge.x + offset.y * edge.y) / (edge.x * edge.x + edge.y * edge.y)
      let gap = offset - edge * min(max(along, 0), 1)
      nearest = min(nearest, gap.x * gap.x + gap.y * gap.y)
      if (corner.y > point.y) != (previous.y > point.y),
        point.x < corner.x + edge.x * (point.y - corner.y) / edge.y
      {
        inside.toggle()
      }
      previous = corner
    }
    return inside ? -nearest.squareRoot() : nearest.squareRoot()
  }
}
