import Foundation

/// The weighting of neighbouring pixels when a picture changes size.
///
/// When shrinking, every filter is stretched by the shrink factor, so that all pixels count (antialiasing).
public enum ResizeFilter: String, Hashable, Sendable, CaseIterable, Codable {
  /// The mean of the covered pixels.
  case box
  /// A triangle of radius 1.
  case bilinear
  /// Keys' cubic of radius 2 with a = -0.5 (Keys, "Cubic convolution interpolation", 1981, eq. 4).
  case bicubic
  /// A windowed sinc of radius 3.
  case lanczos

  /// The radius outside of which the weight is zero, in pixels of the smaller picture.
  var radius: Double {
    switch self {
    case .box: 0.5
    case .bilinear: 1
    case .bicubic: 2
    case .lanczos: 3
    }
  }

  /// The weight at a distance from the centre.
  func weight(at distance: Double) -> Double {
    let x = abs(distance)
    switch self {
    case .box: return distance > -0.5 && distance <= 0.5 ? 1 : 0
    case .bilinear: return max(0, 1 - x)
    case .bicubic:
      let a = -0.5
      if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
      return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0
    case .lanczos: return x < 3 ? sinc(distance) * sinc(distance / 3) : 0
    }
  }
}

private func sinc(_ x: Double) -> Double {
  x == 0 ? 1 : sin(.pi * x) / (.pi * x)
}
