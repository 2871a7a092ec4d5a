public import Testing
public import Torch

/// The measure every tolerance speaks of: max|a - b| / max|b| over whole tensors; absolute where all of `b` is 0.
///
/// Positions where both are the same infinity count as equal; a NaN anywhere makes the result NaN.
public func relativeError(_ actual: Tensor, _ expected: Tensor) -> Double {
  withoutGradients {
    let (a, b) = (actual.to(device: .cpu, dtype: .float64), expected.to(device: .cpu, dtype: .float64))
    if a.count == 0 { return 0 }
    let difference = distance(a, b)
    let scale = select(b.isFinite(), b.abs(), b.zerosLike()).max().item()
    let worst = difference.max().item()
    return scale > 0 ? worst / scale : worst
  }
}

private func distance(_ a: Tensor, _ b: Tensor) -> Tensor {
  // The first condition leaves NaN where either side is NaN.
  select(a .== b, a.zerosLike(), (a - b).abs())
}

/// Expects max|actual - expected| / max|expected| to be at most `tolerance`, in equal shapes and without NaN.
///
/// - Parameters:
///   - actual: what was computed.
///   - expected: what it should be.
///   - tolerance: the largest relative error; 0 asks for equality.
///   - label: the operator and its case, for the message.
///   - sourceLocation: where the expectation stands.
public func expectClose(
  _ actual: Tensor, _ expected: Tensor, _ tolerance: Double, _ label: @autoclosure () -> String = "tensor",
  sourceLocation: SourceLocation = #_sourceLocation
) {
  guard actual.shape == expected.shape else {
    Issue.record(
      "\(label()): shape \(actual.shape), expected \(expected.shape)", sourceLocation: sourceLocation)
    return
  }
  let error = relativeError(actual, expected)
  // Written so that NaN fails.
  if error <= tolerance { return }
  let (a, b) = (actual.detached().to(.float64), expected.detached().to(.float64))
  let (x, y) = (a.array(Double.self), b.array(Double.self))
  let worst = x.indices.max { badness(x[$0], y[$0]) < badness(x[$1], y[$1]) } ?? 0
  let wrong = x.indices.count { badness(x[$0], y[$0]) > 0 }
  Issue.record(
    """
    \(label()): relative error \(error) is above \(tolerance)
      actual   \(actual.summary)
      expected \(expected.summary)
      worst at \(coordinates(worst, in: actual.shape)): \(x[worst]), expected \(y[worst]); \
    \(wrong) of \(x.count) elements differ
    """, sourceLocation: sourceLocation)
}

/// As ``expectClose(_:_:_:_:sourceLocation:)``, with the expected elements of `actual`'s shape in row-major order.
public func expectClose(
  _ actual: Tensor, _ expected: [Double], _ tolerance: Double, _ label: @autoclosure () -> String = "tensor",
  sourceLocation: SourceLocation = #_sourceLocation
) {
  guard actual.count == expected.count else {
    Issue.record(
      "\(label()): shape \(actual.shape), expected \(expected.count) elements", sourceLocation: sourceLocation
    )
    return
  }
  expectClose(actual, Tensor(expected, actual.shape), tolerance, label(), sourceLocation: sourceLocation)
}

/// Expects that shape and those elements, exactly.
public func expectEqual(
  _ actual: Tensor, _ expected: [Double], _ shape: [Int], _ label: @autoclosure () -> String = "tensor",
  sourceLocation: SourceLocation = #_sourceLocation
) {
  expectClose(actual, Tensor(expected, shape), 0, label(), sourceLocation: sourceLocation)
}

/// Expects exactly that shape.
public func expectShape(
  _ actual: Tensor, _ shape: [Int], _ label: @autoclosure () -> String = "tensor",
  sourceLocation: SourceLocation = #_sourceLocation
) {
  if actual.shape != shape {
    Issue.record("\(label()): shape \(actual.shape), expected \(shape)", sourceLocation: sourceLocation)
  }
}

/// Expects no NaN and no infinity.
public func expectFinite(
  _ actual: Tensor, _ label: @autoclosure () -> String = "tensor",
  sourceLocation: SourceLocation = #_sourceLocation
) {
  let values = actual.detached().to(.float64).array(Double.self)
  guard let first = values.firstIndex(where: { !$0.isFinite }) else { return }
  let count = values.count { !$0.isFinite }
  Issue.record(
    """
    \(label()): \(count) of \(values.count) elements of \(actual.summary) are not finite, \
    the first at \(coordinates(first, in: actual.shape)): \(values[first])
    """, sourceLocation: sourceLocation)
}

/// How far apart two elements are, NaN being furthest.
private func badness(_ a: Double, _ b: Double) -> Double {
  if a == b { return 0 }
  let difference = (a - b).magnitude
  return difference.isNaN ? .infinity : difference
}

/// The index of each dimension for a row-major position.
private func coordinates(_ position: Int, in shape: [Int]) -> [Int] {
  var rest = position
  return Array(
    shape.reversed().map { size in
      defer { rest /= Swift.max(size, 1) }
      return rest % Swift.max(size, 1)
    }.reversed())
}
