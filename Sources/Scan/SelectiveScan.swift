public import Torch

/// The selective scan of Mamba: a linear recurrence whose coefficients depend on the input.
///
/// Δ = delta + deltaBias, through softplus if asked; h_t = exp(Δ_t A) h_{t-1} + Δ_t B_t u_t with h_0 = 0;
/// y_t = Σ_n C_t[n] h_t[n] + D u_t; with a gate z, y silu(z). Gu & Dao, "Mamba" (2312.00752), section 3, algorithm 2.
/// Channel d uses group d / (D / G) of B and C. The state is float32 whatever the input's type, float64 for float64.
///
/// Letters: B batch, D channels, G groups, N states, L positions.
public struct SelectiveScan {
  /// The input, `[B, D, L]`.
  public var u: Tensor
  /// The time step before bias and softplus, `[B, D, L]`.
  public var delta: Tensor
  /// The decay A, negative, `[D, N]`.
  public var a: Tensor
  /// The input coefficients, `[B, G, N, L]`.
  public var b: Tensor
  /// The output coefficients, `[B, G, N, L]`.
  public var c: Tensor
  /// The skip coefficient, `[D]`.
  public var d: Tensor?
  /// The gate, `[B, D, L]`.
  public var z: Tensor?
  /// The bias of the time step, `[D]`.
  public var deltaBias: Tensor?
  /// Whether the time step goes through softplus.
  public var softplus: Bool

  /// A scan of these operands; nothing is computed yet.
  public init(
    u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor? = nil, z: Tensor? = nil,
    deltaBias: Tensor? = nil, softplus: Bool = false
  ) {
    self.u = u
    self.delta = delta
    self.a = a
    self.b = b
    self.c = c
    self.d = d
    self.z = z
    self.deltaBias = deltaBias
    self.softplus = softplus
  }

  /// The output `[B, D, L]` and the state after the last position `[B, D, N]`, both float32 (float64 for float64).
  ///
  /// - Parameter kernel: the current task's if absent.
  /// - Returns: the output and the last state.
  public func callAsFunction(_ kernel: ScanKernel = .current) -> (y: Tensor, lastState: Tensor) {
    let (B, D, L) = u.shape3
    // The field's count: 9 B L D N, + B L D for the skip, + B L D for the gate.
    OperationCounter.add(B * L * D * (9 * a.size(1) + (d == nil ? 0 : 1) + (z == nil ? 0 : 1)))
    switch kernel {
    case .naive:
      return naive()
    case .compiled:
      return Tensor.selectiveScan(
        u: u, delta: delta, a: a, b: b, c: c, d: d, z: z, deltaBias: deltaBias, softplus: softplus)
    }
  }
}

extension SelectiveScan {
  /// The definition, one position after the other.
  func naive() -> (y: Tensor, lastState: Tensor) {
    let dtype: DType = u.dtype == .float64 ? .float64 : .float32
    let (B, D, L) = u.shape3
    let (_, G, N, _) = b.shape4
    let u = self.u.to(dtype)
    let a = self.a.to(dtype)
    var delta = self.delta.to(dtype)
    if let deltaBias { delta = delta + deltaBias.to(dtype).reshape(1, D, 1) }
    if softplus { delta = delta.softplus() }
    let spread = [B, G, D / G, N, L]
    let b = self.b.to(dtype).unsqueeze(2).expand(spread).reshape(B, D, N, L)
    let c = self.c.to(dtype).unsqueeze(2).expand(spread).reshape(B, D, N, L)
    var h = Tensor.zeros([B, D, N], dtype: dtype, device: u.device)
    var outputs: [Tensor] = []
    for t in 0..<L {
      let step = delta.narrow(2, from: t, length: 1)  // [B, D, 1]
      h = (step * a).exp() * h + step * b.select(3, t) * u.narrow(2, from: t, length: 1)  // [B, D, N]
      outputs.append((h * c.select(3, t)).sum(2))  // [B, D]
    }
    var y = stack(outputs, along: 2)  // [B, D, L]
    if let d { y = y + u * d.to(dtype).reshape(1, D, 1) }
    if let z { y = y * z.to(dtype).silu() }
    return (y, h)
  }
}
