import CTorch

extension Tensor {
  /// The selective scan by the compiled kernels; the target `Scan` documents the mathematics.
  public static func selectiveScan(
    u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor?, z: Tensor?, deltaBias: Tensor?,
    softplus: Bool
  ) -> (y: Tensor, lastState: Tensor) {
    var lastState: OpaquePointer?
    let pointer = withExtendedLifetime((d, z, deltaBias)) {
      ct_selective_scan(
        u.pointer, delta.pointer, a.pointer, b.pointer, c.pointer, d?.pointer, z?.pointer, deltaBias?.pointer,
        softplus, &lastState)
    }
    let y = Tensor(pointer, "selectiveScan(\(u.summary))")
    return (y, lastState.map(Tensor.init(owning:)) ?? .poisoned)
  }

  /// The one-pass scan of a map in four directions by the compiled kernels; the target `Scan` documents the mathematics.
  public static func scan2D(
    _ x: Tensor, projections: Tensor, deltaWeight: Tensor, deltaBias: Tensor, a: Tensor, d: Tensor
  ) -> Tensor {
    Tensor(
      ct_scan_2d(
        x.pointer, projections.pointer, deltaWeight.pointer, deltaBias.pointer, a.pointer, d.pointer),
      "scan2D(\(x.summary))")
  }
}
