import CTorch

/// Runs `body` without recording operations for differentiation.
///
/// Synchronous on purpose: the mode belongs to the current thread and must not cross an `await`.
public func withoutGradients<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure)
  -> Result
{
  let before = ct_grad_enabled()
  ct_set_grad_enabled(false)
  defer { ct_set_grad_enabled(before) }
  return try body()
}

/// Runs `body` recording operations for differentiation, also inside ``withoutGradients(_:)``.
public func withGradients<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure)
  -> Result
{
  let before = ct_grad_enabled()
  ct_set_grad_enabled(true)
  defer { ct_set_grad_enabled(before) }
  return try body()
}

/// Whether operations are recorded for differentiation on this thread.
public var recordsGradients: Bool { ct_grad_enabled() }

extension Tensor {
  /// Whether operations on this tensor are recorded for differentiation.
  public var requiresGradient: Bool { ct_requires_grad(pointer) }

  /// Whether no recorded operation made this tensor.
  public var isLeaf: Bool { ct_is_leaf(pointer) }

  /// Turns recording on or off for a leaf, and returns it.
  @discardableResult
  public func requiringGradient(_ value: Bool = true) -> Tensor {
    requireSuccess(ct_set_requires_grad(pointer, value), "requiringGradient(\(value)) of \(summary)")
    return self
  }

  /// The gradient that ``backward(_:retainGraph:)`` gathered in this leaf.
  public var gradient: Tensor? {
    get { ct_grad(pointer).map(Tensor.init(owning:)) }
    nonmutating set { requireSuccess(ct_set_grad(pointer, newValue?.pointer), "gradient of \(summary)") }
  }

  /// The same elements, without a history.
  public func detached() -> Tensor { Aten.detach(.tensor(self)) }

  /// Adds to every leaf's ``gradient`` the derivative of this tensor with respect to it.
  ///
  /// - Parameters:
  ///   - seed: the derivative with respect to this tensor; 1 for a single element if absent.
  ///   - retainGraph: keeps what the pass needs, so that another can follow.
  public func backward(_ seed: Tensor? = nil, retainGraph: Bool = false) {
    requireSuccess(ct_backward(pointer, seed?.pointer, retainGraph), "backward of \(summary)")
  }
}

/// The derivatives of `outputs` with respect to `inputs`, without touching any ``Tensor/gradient``.
///
/// - Parameters:
///   - outputs: what is differentiated.
///   - inputs: tensors that require gradients.
///   - seeds: the derivatives with respect to `outputs`; ones for single elements if absent.
///   - retainGraph: keeps what the pass needs, so that another can follow.
///   - createGraph: records the pass itself, for second derivatives.
/// - Returns: one entry for each input; `nil` where `outputs` do not depend on it.
public func gradients(
  of outputs: [Tensor], withRespectTo inputs: [Tensor], seeds: [Tensor?]? = nil, retainGraph: Bool = false,
  createGraph: Bool = false
) -> [Tensor?] {
  if isPoisoned { return Array(repeating: .poisoned, count: inputs.count) }
  var results = [OpaquePointer?](repeating: nil, count: inputs.count)
  let status = withExtendedLifetime((outputs, inputs, seeds)) {
    let seedPointers = seeds.map { $0.map { $0?.pointer } }
    let outputPointers = outputs.map(\.pointer)
    let inputPointers = inputs.map(\.pointer)
    if let seedPointers {
      return ct_gradients(
        outputPointers, Int32(outputs.count), seedPointers, inputPointers, Int32(inputs.count),
        retainGraph || createGraph, createGraph, &results)
    }
    return ct_gradients(
      outputPointers, Int32(outputs.count), nil, inputPointers, Int32(inputs.count),
      retainGraph || createGraph,
      createGraph, &results)
  }
  requireSuccess(status, "gradients of \(outputs.map(\.summary))")
  return results.map { $0.map(Tensor.init(owning:)) }
}

/// What a differentiable function written in Swift keeps until its backward pass.
private final class BackwardClosure {
  let run: ([Tensor?]) throws -> [Tensor?]
  init(_ run: @escaping ([Tensor?]) throws -> [Tensor?]) { self.run = run }
}

/// A differentiable function with a backward pass of its own.
///
/// The backward pass runs on the calling thread for tensors on the CPU and on LibTorch's threads for a GPU.
///
/// - Parameters:
///   - name: stands in messages.
///   - inputs: what the function is differentiated with respect to.
///   - forward: computes the outputs; nothing in it is recorded.
///   - backward: from the derivatives with respect to the outputs (`nil`: none reached it), those with respect to
///     `inputs`, one entry each; `nil` for none.
/// - Returns: the outputs of `forward`, with `backward` as their history.
public func customFunction(
  _ name: String, of inputs: [Tensor], forward: ([Tensor]) -> [Tensor],
  backward: @escaping ([Tensor?]) throws -> [Tensor?]
) -> [Tensor] {
  let outputs = withoutGradients { forward(inputs) }
  if isPoisoned { return outputs }
  let count = inputs.count
  let closure = BackwardClosure { gradients in
    let results = try withTorchErrors { try backward(gradients) }
    guard results.count == count else {
      throw TorchError("backward returned \(results.count) derivatives for \(count) inputs")
    }
    return results
  }
  var results = [OpaquePointer?](repeating: nil, count: outputs.count)
  let status = withExtendedLifetime((inputs, outputs)) {
    ct_custom_function(
      inputs.map(\.pointer), Int32(count), outputs.map(\.pointer), Int32(outputs.count), name, runBackward,
      { Unmanaged<BackwardClosure>.fromOpaque($0).release() },
      Unmanaged.passRetained(closure).toOpaque(), &results)
  }
  requireSuccess(status, name)
  return results.map { $0.map(Tensor.init(owning:)) ?? .poisoned }
}

private func runBackward(
  _ context: UnsafeMutableRawPointer, _ gradients: UnsafePointer<OpaquePointer?>, _ gradientCount: Int32,
  _ results: UnsafeMutablePointer<OpaquePointer?>, _ resultCount: Int32
) -> Int32 {
  let closure = Unmanaged<BackwardClosure>.fromOpaque(context).takeUnretainedValue()
  let incoming = (0..<Int(gradientCount)).map { gradients[$0].map { Tensor(owning: ct_retain($0)) } }
  do {
    for (index, result) in try closure.run(incoming).enumerated() where index < Int(resultCount) {
      results[index] = result.map { ct_retain($0.pointer) }
    }
    return 0
  } catch {
    ct_set_last_error("\(error)")
    return -1
  }
}
