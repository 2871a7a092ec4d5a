import Scan
import Torch

/// The one-pass scan of a map in four directions, from its projections.
///
/// Letters: B batch, D channels, H, W positions, K = 4 directions, N states, R the rank of the time step.
struct Scan2DCheck: KernelCheck {
  let kernel = "scan2d"
  let batch: Int
  let (height, width): (Int, Int)
  let channels: Int
  let states: Int
  let dtype: DType
  let layout: KernelLayout

  /// Even in padded rows, as models see to.
  private var rank: Int { layout == .paddedRows ? 6 : 3 }

  var truthKey: String { "\(kernel) \(batch) \(height)x\(width) \(channels) \(states) \(rank) \(dtype)" }
  var detail: String { "\(height)x\(width)/n\(states)/c\(channels)/\(dtype)/\(layout.rawValue)" }

  /// The operands by name, maps rounded to the type.
  private var operands: [(name: String, tensor: Tensor)] {
    let (K, D, N, R) = (4, channels, states, rank)
    let (maps, parameters) = (dtype, parameterType(beside: dtype))
    return [
      ("x", operand("x", [batch, D, height, width], -1, 1, maps)),
      ("projections", operand("projections", [batch, K * (R + 2 * N), height * width], -1, 1, maps)),
      ("delta weight", operand("delta weight", [K, D, R], -0.7, 0.7, parameters)),
      ("delta bias", operand("delta bias", [K, D], -2, 0, parameters)),
      ("A", operand("a", [K * D, N], -1.5, -0.1, parameters)),
      ("D", operand("d", [K * D], 0.5, 1.5, parameters)),
    ]
  }

  private var probe: Tensor {
    // Rounded as a gradient in the map's type would be.
    operand("probe", [batch, channels, height, width], -1, 1, dtype)
  }

  func truth() -> [KernelOutput] {
    let wide = operands.map { (name: $0.name, tensor: $0.tensor.to(.float64)) }
    let isShort = height * width <= longestDefinition
    return outputsAndGradients(of: wide, probe: { _ in probe.to(.float64) }) { x in
      [("output", isShort ? definition(x) : Self.kernel(x))]
    }
  }

  func computed(on device: Device) -> [KernelOutput] {
    let own = operands.map { name, tensor in
      let tensor = tensor.to(device: device)
      switch name {
      case "x": return (name: name, tensor: layout.of(tensor))
      case "projections": return (name: name, tensor: laidOut(projections: tensor))
      default: return (name: name, tensor: tensor)
      }
    }
    let outputs = outputsAndGradients(
      of: own, probe: { layout.of(probe.to(device: device, dtype: $0.dtype)) }
    ) { [("output", Self.kernel($0))] }
    // Directions may come apart.
    return outputs.map { output in
      output.tensor.rank == 4 && output.name == "gradient by projections"
        ? KernelOutput(output.name, output.tensor.flatten(from: 1, to: 2), isGradient: true) : output
    }
  }

  /// Projections `[B, K(R + 2N), L]` in the layout: `[B, K, R + 2N, L]` in padded rows.
  private func laidOut(projections: Tensor) -> Tensor {
    guard layout == .paddedRows else { return layout.of(projections) }
    let (B, K, rows, L) = (batch, 4, rank + 2 * states, height * width)
    let apart = projections.reshape(B, K, rows, L).permute(0, 3, 1, 2)  // [B, L, K, R + 2N]
    // What is beyond a row's end is read and must not count.
    let filling = Tensor.full(
      [B, L, K, (8 - rows % 8) % 8], 1, dtype: projections.dtype, device: projections.device)
    return concatenate([apart, filling], along: 3).narrow(3, from: 0, length: rows).permute(0, 2, 3, 1)
  }

  private static func kernel(_ x: [Tensor]) -> Tensor {
    .scan2D(x[0], projections: x[1], deltaWeight: x[2], deltaBias: x[3], a: x[4], d: x[5])
  }

  /// Four permuted copies of map and projections, expanded time steps, one scan of K groups.
  private func definition(_ x: [Tensor]) -> Tensor {
    let (B, K, D, H, W) = (batch, 4, channels, height, width)
    let (N, R, L) = (states, rank, height * width)
    let orders = crossScan(x[1].reshape(B, K * (R + 2 * N), H, W))  // [B, 4, K(R + 2N), L]
    let ownParts = (0..<K).map { k in
      orders.select(1, k).narrow(1, from: k * (R + 2 * N), length: R + 2 * N)
    }
    let parts = stack(ownParts, along: 1).split([R, N, N], along: 2)  // [B, K, R | N | N, L]
    let delta = x[2].unsqueeze(0).matmul(parts[0])  // [B, K, D, L]
    let scan = SelectiveScan(
      u: crossScan(x[0]).reshape(B, K * D, L), delta: delta.reshape(B, K * D, L), a: x[4], b: parts[1],
      c: parts[2], d: x[5], deltaBias: x[3].reshape(K * D), softplus: true)
    return crossMerge(scan(.naive).y.reshape(B, K, D, H, W)).reshape(B, D, H, W)
  }
}
