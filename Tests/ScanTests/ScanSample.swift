import Scan
import TestSupport
import Testing
import Torch

/// The sizes and options of a one-dimensional scan.
struct ScanSample: Sendable, CustomTestStringConvertible {
  var batch = 2
  var channels = 4
  var groups = 1
  var states = 1
  var length: Int
  var hasSkip = true
  var hasGate = false
  var hasBias = true
  var softplus = true

  var testDescription: String {
    let options = [
      hasSkip ? "D" : nil, hasGate ? "z" : nil, hasBias ? "bias" : nil, softplus ? "softplus" : nil,
    ]
    return
      "B\(batch) D\(channels) G\(groups) N\(states) L\(length) \(options.compactMap(\.self).joined(separator: "+"))"
  }

  /// Operands of that type, parameters at least float32; the same numbers for every call.
  func scan(_ dtype: DType) -> SelectiveScan {
    func filled(_ name: String, _ shape: [Int], _ low: Double, _ high: Double, _ dtype: DType) -> Tensor {
      .filled(shape, key: "scan \(name) \(shape)", low: low, high: high, dtype: dtype)
    }
    let wide: DType = dtype == .float64 ? .float64 : .float32
    let maps = [batch, channels, length]
    let coefficients = [batch, groups, states, length]
    return SelectiveScan(
      u: filled("u", maps, -1, 1, dtype),
      // Without softplus a negative step would let the state grow without bound.
      delta: softplus ? filled("delta", maps, -2, 1, dtype) : filled("delta", maps, 0.3, 0.6, dtype),
      a: filled("a", [channels, states], -1.5, -0.1, wide), b: filled("b", coefficients, -1, 1, dtype),
      c: filled("c", coefficients, -1, 1, dtype), d: hasSkip ? filled("d", [channels], 0.5, 1.5, wide) : nil,
      z: hasGate ? filled("z", maps, -2, 2, dtype) : nil,
      deltaBias: hasBias ? filled("bias", [channels], -0.2, 0.2, wide) : nil, softplus: softplus)
  }
}

extension SelectiveScan {
  /// The operands by name.
  var operands: [(name: String, tensor: Tensor)] {
    let all = [
      ("u", u), ("delta", delta), ("A", a), ("B", b), ("C", c), ("D", d), ("z", z), ("delta bias", deltaBias),
    ]
    return all.compactMap { name, tensor in tensor.map { (name, $0) } }
  }

  /// The same scan of changed operands.
  func mapped(_ change: (Tensor) -> Tensor) -> SelectiveScan {
    SelectiveScan(
      u: change(u), delta: change(delta), a: change(a), b: change(b), c: change(c), d: d.map(change),
      z: z.map(change), deltaBias: deltaBias.map(change), softplus: softplus)
  }

  /// The same scan of leaves that require gradients.
  func leaves(_ dtype: DType? = nil) -> SelectiveScan {
    mapped { $0.detached().to(dtype ?? $0.dtype).clone().requiringGradient() }
  }
}

/// The largest relative errors of a compiled scan in that type, against the definition in float64.
struct ScanTolerance {
  let output: Double
  let gradient: Double

  init(_ dtype: DType) {
    // Half-width gradients are rounded to 8 and 11 significant bits; outputs and parameters stay float32.
    switch dtype {
    case .float64: (output, gradient) = (1e-12, 1e-11)
    case .bfloat16: (output, gradient) = (1e-5, 0x1p-8)
    case .float16: (output, gradient) = (1e-5, 0x1p-11)
    default: (output, gradient) = (1e-5, 2e-5)
    }
  }
}

/// Expects the compiled scan of `scan`'s operands to give what the definition gives for them in float64: outputs, last
/// states and all gradients.
func expectCompiled(
  _ scan: SelectiveScan, matchesDefinition label: String, sourceLocation: SourceLocation = #_sourceLocation
) {
  let dtype = scan.u.dtype
  let tolerance = ScanTolerance(dtype)
  let exact = scan.leaves(.float64)
  let (y, last) = exact(.naive)
  let probe = Tensor.filled(y.shape, key: "probe", dtype: .float64)
  let expected = gradients(of: [(y * probe).sum()], withRespectTo: exact.operands.map(\.tensor))

  let (ownY, ownLast) = withPoisonedAllocations { scan(.compiled) }
  expectClose(ownY, y, tolerance.output, "\(label): output", sourceLocation: sourceLocation)
  expectClose(ownLast, last, tolerance.output, "\(label): last state", sourceLocation: sourceLocation)
  let own = withPoisonedAllocations {
    gradients(
      of: [ownY], withRespectTo: scan.operands.map(\.tensor), seeds: [probe.to(ownY.dtype)])
  }
  for (index, (name, _)) in scan.operands.enumerated() {
    guard let gradient = own[index], let reference = expected[index] else {
      Issue.record("\(label): no gradient by \(name)", sourceLocation: sourceLocation)
      continue
    }
    expectClose(
      gradient, reference, tolerance.gradient, "\(label): gradient by \(name)", sourceLocation: sourceLocation
    )
  }
}
