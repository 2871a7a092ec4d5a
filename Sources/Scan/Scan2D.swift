public import Torch

/// The selective scan of a feature map in four directions, with its projections: the SS2D operator of VMamba and SparX.
///
/// From x `[B, D, H, W]`, each direction k has its own low-rank time step, B and C, all linear in x; the four scans are
/// put back in place and summed. Liu et al., "VMamba" (2401.10166), section 4.3; K = 4 directions, N states, R the
/// rank of the time step. States are float32 whatever the input's type, float64 for float64. So is the output on a CPU; on a
/// GPU it has the input's type, or that of the automatic casts.
public struct Scan2D {
  /// The projection to (time step, B, C) of each direction, `[K(R + 2N), D, 1]` or `[K, R + 2N, D]`.
  public let projection: Tensor
  /// The expansion of the time step, `[K, D, R]`.
  public let deltaWeight: Tensor
  /// The bias of the time step, `[K, D]`.
  public let deltaBias: Tensor
  /// The logarithm of -A, `[KD, N]`.
  public let logA: Tensor
  /// The skip coefficient D, `[KD]`.
  public let skip: Tensor
  /// What a model prepared for inference computes once: the projection's product and A.
  private let prepared: (project: PackedLinear, a: Tensor, deltaWeight: Tensor)?

  /// The operator of these parameters.
  ///
  /// - Parameters:
  ///   - projection: `[K(R + 2N), D, 1]` or `[K, R + 2N, D]`.
  ///   - deltaWeight: `[K, D, R]`.
  ///   - deltaBias: `[K, D]`.
  ///   - logA: `[KD, N]`.
  ///   - skip: `[KD]`.
  ///   - isPrepared: whether the parameters stay as they are, for a model prepared for inference.
  ///   - dtype: on a GPU, the type that a prepared model computes in; that of the parameters if absent.
  public init(
    projection: Tensor, deltaWeight: Tensor, deltaBias: Tensor, logA: Tensor, skip: Tensor,
    isPrepared: Bool = false, dtype: DType? = nil
  ) {
    self.projection = projection
    self.deltaWeight = deltaWeight
    self.deltaBias = deltaBias
    self.logA = logA
    self.skip = skip
    prepared =
      isPrepared
      ? (
        PackedLinear(
          projection.device.isCUDA
            ? Self.paddedRows(projection, deltaWeight, logA) : projection.reshape(-1, deltaWeight.size(1)),
          bias: nil, dtype: dtype),
        Self.decay(logA, projection.dtype),
        projection.device.isCUDA ? Self.evenRank(deltaWeight) : deltaWeight
      ) : nil
  }

  /// The projection `[K ROW, D]` with zeros below each direction's rows, up to a multiple of 8, and one after the time step's if
  /// its rank is odd: what the kernels for GPUs read of a pixel and direction is then one row of aligned pairs.
  private static func paddedRows(_ projection: Tensor, _ deltaWeight: Tensor, _ logA: Tensor) -> Tensor {
    let (K, D, R) = deltaWeight.shape3
    let N = logA.size(1)
    let weight = projection.reshape(K, R + 2 * N, D)
    let form = ScanRows(rank: R, states: N)
    let (odd, padding) = (form.rank - R, form.width - form.columns)
    if odd + padding == 0 { return weight.reshape(-1, D) }
    func zeros(_ rows: Int) -> Tensor { .zeros([K, rows, D], dtype: weight.dtype, device: weight.device) }
    return concatenate(
      [
        weight.narrow(1, from: 0, length: R), zeros(odd), weight.narrow(1, from: R, length: 2 * N),
        zeros(padding),
      ],
      along: 1
    ).reshape(-1, D)
  }

  /// The expansion of a time step whose rank was made even.
  private static func evenRank(_ deltaWeight: Tensor) -> Tensor {
    let (K, D, R) = deltaWeight.shape3
    if R % 2 == 0 { return deltaWeight }
    return concatenate(
      [deltaWeight, .zeros([K, D, 1], dtype: deltaWeight.dtype, device: deltaWeight.device)], along: 2)
  }

  /// A, of its logarithm.
  private static func decay(_ logA: Tensor, _ dtype: DType) -> Tensor {
    -logA.to(dtype == .float64 ? .float64 : .float32).exp()
  }

  /// The pixels `[B, L, D]` of a map, one after the other, copied only if they do not lie so.
  private static func pixels(_ x: Tensor) -> Tensor {
    x.contiguous(.channelsLast).permute(0, 2, 3, 1).flatten(from: 1, to: 2)
  }

  /// The output `[B, D, H, W]`.
  ///
  /// - Parameters:
  ///   - x: the map, `[B, D, H, W]`.
  ///   - kernel: the current task's if absent.
  /// - Returns: the sum of the four directions.
  public func callAsFunction(_ x: Tensor, _ kernel: ScanKernel = .current) -> Tensor {
    switch kernel {
    case .naive: return naive(x)
    case .compiled: return onePass(x)
    }
  }

  /// The same for GPUs, with a padded row for each pixel and direction.
  func inRows(_ x: Tensor) -> Tensor {
    let (B, _, H, W) = x.shape4
    let (K, _, R) = deltaWeight.shape3
    let columns = ScanRows(rank: R, states: logA.size(1)).columns
    let pixels = Self.pixels(x)
    let rows =
      prepared.map { $0.project(pixels) } ?? pixels.linear(Self.paddedRows(projection, deltaWeight, logA))
    return Tensor.scan2D(
      x,
      projections: rows.reshape(B, H * W, K, -1).narrow(3, from: 0, length: columns).permute(0, 2, 3, 1),
      deltaWeight: prepared?.deltaWeight ?? Self.evenRank(deltaWeight), deltaBias: deltaBias,
      a: prepared?.a ?? Self.decay(logA, x.dtype), d: skip)
  }

  /// The projections commute with the permutation of pixels, so they are one matrix product over the map as it lies,
  /// and the kernel reads the map once: no permuted copies, no expanded time steps.
  private func onePass(_ x: Tensor) -> Tensor {
    let (B, D, H, W) = x.shape4
    let (K, _, R) = deltaWeight.shape3
    let N = logA.size(1)
    // What the kernel does itself: the expansion of the time step, and the field's count for the scan.
    OperationCounter.add(B * H * W * D * K * (R + 9 * N + 1))
    if x.device.isCUDA { return inRows(x) }
    let weight = projection.reshape(K * (R + 2 * N), D)
    let projections: Tensor
    if let prepared {
      projections = prepared.project(Self.pixels(x)).transpose(1, 2)  // [B, K(R + 2N), L]
    } else if x.isContiguous(.channelsLast) && !x.isContiguous() {
      projections = Self.pixels(x).linear(weight).transpose(1, 2)  // [B, K(R + 2N), L]
    } else {
      // One weight for each image, without a copy: a product of a matrix with a batch would transpose the map.
      let weights = weight.unsqueeze(0).expand([B, K * (R + 2 * N), D])
      projections = weights.matmul(x.flatten(from: 2))  // [B, K(R + 2N), L]
    }
    return Tensor.scan2D(
      x, projections: projections, deltaWeight: deltaWeight, deltaBias: deltaBias,
      a: prepared?.a ?? Self.decay(logA, x.dtype), d: skip)
  }
}

extension Scan2D {
  /// The definition, as the authors' code computes it: four permuted copies, expanded time steps, one scan of K groups.
  func naive(_ x: Tensor) -> Tensor {
    let (B, D, H, W) = x.shape4
    let (K, _, R) = deltaWeight.shape3
    let (N, L) = (logA.size(1), H * W)
    let sequences = crossScan(x)  // [B, K, D, L]
    let weights = projection.reshape(1, K, R + 2 * N, D)
    let parts = weights.matmul(sequences).split([R, N, N], along: 2)  // [B, K, R | N | N, L]
    let delta = deltaWeight.unsqueeze(0).matmul(parts[0])  // [B, K, D, L]
    let scan = SelectiveScan(
      u: sequences.reshape(B, K * D, L), delta: delta.reshape(B, K * D, L), a: Self.decay(logA, x.dtype),
      b: parts[1], c: parts[2], d: skip, deltaBias: deltaBias.reshape(K * D), softplus: true)
    return crossMerge(scan(.naive).y.reshape(B, K, D, H, W)).reshape(B, D, H, W)
  }
}
