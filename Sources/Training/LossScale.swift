public import Torch

/// What multiplies the loss of a run in float16, so that small gradients do not vanish in the type's narrow range.
///
/// It doubles after 2000 steps without an overflow, and halves with each: such a step changes no parameter. Micikevicius
/// et al., "Mixed Precision Training" (1710.03740), section 3.2.
public struct LossScale: Codable, Hashable, Sendable {
  /// The factor, a power of two.
  public private(set) var factor = 65_536.0
  /// The steps without an overflow since the factor changed.
  public private(set) var steadySteps = 0

  /// The steps without an overflow after which the factor doubles.
  public static let interval = 2000
  /// Gradients that overflow at this factor do so by themselves.
  public static let smallest = 1.0

  /// A scale at its start.
  public init() {}

  /// The loss whose gradients are to be taken.
  public func scaled(_ loss: Tensor) -> Tensor { loss * factor }

  /// Gives the gradients of the scaled loss their own size.
  public func unscaleGradients(of parameters: [Tensor]) { scaleGradients(of: parameters, by: 1 / factor) }

  /// Takes note of a step.
  ///
  /// - Parameter overflowed: whether a gradient was infinite or not a number.
  /// - Returns: whether a smaller factor can help.
  public mutating func update(overflowed: Bool) -> Bool {
    guard overflowed else {
      steadySteps += 1
      if steadySteps == Self.interval { (factor, steadySteps) = (factor * 2, 0) }
      return true
    }
    guard factor > Self.smallest else { return false }
    (factor, steadySteps) = (factor / 2, 0)
    return true
  }
}
