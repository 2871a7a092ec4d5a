public import Torch

/// The four orders in which VMamba reads a feature map, as sequences `[B, 4, C, H*W]` of `[B, C, H, W]`.
///
/// 0: along rows; 1: along columns; 2 and 3: the reverses of 0 and 1. Liu et al., "VMamba" (2401.10166), section 4.3.
public func crossScan(_ x: Tensor) -> Tensor {
  let rows = x.flatten(from: 2)  // [B, C, L]
  let columns = x.transpose(2, 3).flatten(from: 2)
  return stack([rows, columns, rows.flip(2), columns.flip(2)], along: 1)
}

/// The sum of four sequences `[B, 4, C, H, W]`, each put back in place: `[B, C, H*W]`; the adjoint of ``crossScan(_:)``.
public func crossMerge(_ y: Tensor) -> Tensor {
  let (B, C, H, W) = (y.size(0), y.size(2), y.size(3), y.size(4))
  let sequences = y.reshape(B, 4, C, H * W)
  let rows = sequences.select(1, 0) + sequences.select(1, 2).flip(2)
  let columns = sequences.select(1, 1) + sequences.select(1, 3).flip(2)
  return rows + columns.reshape(B, C, W, H).transpose(2, 3).reshape(B, C, H * W)
}
