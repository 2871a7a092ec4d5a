public import Testing
public import Torch

/// Expects the derivatives of `function` to agree with central finite differences, in float64, for every element of
/// every input.
///
/// Every output is weighted by fixed numbers of its own, so that errors do not cancel.
///
/// - Parameters:
///   - label: the operator, for the message.
///   - inputs: small tensors; they are copied to float64.
///   - step: half the distance of the two evaluations.
///   - tolerance: the largest relative error, as in ``relativeError(_:_:)``.
///   - sourceLocation: where the expectation stands.
///   - function: from the inputs, the outputs.
public func gradientCheck(
  _ label: String, _ inputs: [Tensor], step: Double = 1e-6, tolerance: Double = 1e-6,
  sourceLocation: SourceLocation = #_sourceLocation, _ function: ([Tensor]) -> [Tensor]
) {
  func loss(_ variables: [Tensor]) -> Tensor {
    let terms = function(variables).enumerated().map { index, output in
      (output * Tensor.filled(output.shape, key: "probe \(index)", dtype: .float64)).sum()
    }
    return terms.dropFirst().reduce(terms.first ?? Tensor(0.0)) { $0 + $1 }
  }
  let variables = inputs.map { $0.detached().to(.float64).clone().requiringGradient() }
  let value = loss(variables)
  guard value.requiresGradient else {
    Issue.record(
      "\(label): no output depends on an input that requires gradients", sourceLocation: sourceLocation)
    return
  }
  let analytic = gradients(of: [value], withRespectTo: variables)
  for (index, variable) in variables.enumerated() {
    let start = variable.detached().array(Double.self)
    var numeric = [Double](repeating: 0, count: start.count)
    for element in start.indices {
      let sides = [step, -step].map { offset in
        var moved = start
        moved[element] += offset
        var others = variables
        others[index] = Tensor(moved, variable.shape)
        return withoutGradients { loss(others).item() }
      }
      numeric[element] = (sides[0] - sides[1]) / (2 * step)
    }
    expectClose(
      analytic[index] ?? variable.zerosLike(), Tensor(numeric, variable.shape), tolerance,
      "\(label): derivative with respect to input \(index)", sourceLocation: sourceLocation)
  }
}

/// Expects the derivatives of a function of one output to agree with central finite differences, as the form for
/// several outputs does.
public func gradientCheck(
  _ label: String, _ inputs: [Tensor], step: Double = 1e-6, tolerance: Double = 1e-6,
  sourceLocation: SourceLocation = #_sourceLocation, _ function: ([Tensor]) -> Tensor
) {
  gradientCheck(label, inputs, step: step, tolerance: tolerance, sourceLocation: sourceLocation) {
    [function($0)]
  }
}
