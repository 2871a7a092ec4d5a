import Scan
import Torch

/// The selective scan with skip, gate, bias and softplus.
///
/// Letters: B batch, D channels, G groups, N states, L positions.
struct SelectiveScanCheck: KernelCheck {
  let kernel = "selective_scan"
  let batch: Int
  let length: Int
  let channels: Int
  let groups: Int
  let states: Int
  let dtype: DType
  let layout: KernelLayout

  var truthKey: String { "\(kernel) \(batch) \(length) \(channels) \(groups) \(states) \(dtype)" }
  var detail: String { "\(length)/n\(states)/c\(channels)/g\(groups)/\(dtype)/\(layout.rawValue)" }

  /// The operands by name, maps rounded to the type.
  private var operands: [(name: String, tensor: Tensor)] {
    let (D, N) = (channels, states)
    let (maps, parameters) = (dtype, parameterType(beside: dtype))
    return [
      ("u", operand("u", [batch, D, length], -1, 1, maps)),
      ("delta", operand("delta", [batch, D, length], -2, 1, maps)),
      ("A", operand("A", [D, N], -1.5, -0.1, parameters)),
      ("B", operand("B", [batch, groups, N, length], -1, 1, maps)),
      ("C", operand("C", [batch, groups, N, length], -1, 1, maps)),
      ("D", operand("D", [D], 0.5, 1.5, parameters)),
      ("z", operand("z", [batch, D, length], -2, 2, maps)),
      ("delta bias", operand("bias", [D], -0.2, 0.2, parameters)),
    ]
  }

  private var probe: Tensor { operand("scan probe", [batch, channels, length], -1, 1, dtype) }

  func truth() -> [KernelOutput] {
    let wide = operands.map { (name: $0.name, tensor: $0.tensor.to(.float64)) }
    let kernel: ScanKernel = length <= longestDefinition ? .naive : .compiled
    return outputsAndGradients(of: wide, probe: { _ in probe.to(.float64) }) { Self.run($0, kernel) }
  }

  func computed(on device: Device) -> [KernelOutput] {
    let own = operands.map { name, tensor in
      (name: name, tensor: tensor.rank < 3 ? tensor.to(device: device) : layout.of(tensor.to(device: device)))
    }
    return outputsAndGradients(of: own, probe: { layout.of(probe.to(device: device, dtype: $0.dtype)) }) {
      Self.run($0, .compiled)
    }
  }

  private static func run(_ x: [Tensor], _ kernel: ScanKernel) -> [(name: String, tensor: Tensor)] {
    let scan = SelectiveScan(
      u: x[0], delta: x[1], a: x[2], b: x[3], c: x[4], d: x[5], z: x[6], deltaBias: x[7], softplus: true)
    let (y, lastState) = scan(kernel)
    return [("output", y), ("last state", lastState)]
  }
}
