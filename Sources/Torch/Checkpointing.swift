import Randomness

/// Whether the current thread is computing a forward pass again for ``checkpoint(_:parameters:_:)``.
///
/// Layers with running statistics leave them alone then: they were updated the first time.
public enum Recomputation {
  @TaskLocal static var depth = 0
  /// Whether this forward pass is a repetition.
  public static var isActive: Bool { depth > 0 }
}

/// Computes `body` without keeping its intermediate results, and again when the backward pass needs them.
///
/// The second computation sees the same automatic casts, and the same random numbers as long as `body` draws them by
/// counter (`CounterRandom`). Chen et al., "Training Deep Nets with Sublinear Memory Cost" (1604.06174).
///
/// - Parameters:
///   - inputs: what `body` is a function of.
///   - parameters: the leaves that `body` uses besides its inputs; their gradients are found too.
///   - body: from the inputs, the outputs.
/// - Returns: what `body` returned.
public func checkpoint(
  _ inputs: [Tensor], parameters: [Tensor], _ body: @escaping ([Tensor]) -> [Tensor]
) -> [Tensor] {
  guard recordsGradients else { return body(inputs) }
  let casts = AutocastState.current(inputs.first?.device ?? .cpu)
  let leaves = parameters.filter(\.requiresGradient)
  return customFunction("checkpoint", of: inputs + leaves) { _ in
    body(inputs)
  } backward: { outgoing in
    let fresh = inputs.map { input in
      let copy = input.detached()
      return input.requiresGradient ? copy.requiringGradient() : copy
    }
    let outputs = Recomputation.$depth.withValue(1) {
      withGradients { casts.run { body(fresh) } }
    }
    let pairs = zip(outputs, outgoing).filter { $0.0.requiresGradient && $0.1 != nil }
    let wanted = fresh.filter(\.requiresGradient) + leaves
    guard !pairs.isEmpty, !wanted.isEmpty else {
      return Array(repeating: nil, count: fresh.count + leaves.count)
    }
    var found = gradients(of: pairs.map(\.0), withRespectTo: wanted, seeds: pairs.map(\.1))[...]
    return (fresh + leaves).map { $0.requiresGradient ? found.popFirst() ?? nil : nil }
  }
}
