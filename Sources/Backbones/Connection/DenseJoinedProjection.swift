import Layers
import Torch

/// What ``JoinedProjection`` computes, as one product over pixels, for GPUs.
///
/// The projection in groups, the shuffle before it and the means over channels after it are all linear in the channels, so
/// they are one matrix of which most is zero. A GPU multiplies by the zeros in less time than it reads and writes a map once
/// more, which each of the three would take.
struct DenseJoinedProjection {
  /// What of the parameters the product and the convolution before it need.
  struct Matrices {
    var window: Tensor
    var windowBias: Tensor
    var weight: Tensor
    var bias: Tensor

    /// With the product in another type; our own kernel takes its window in single precision.
    func converted(to dtype: DType) -> Matrices {
      var result = self
      result.weight = weight.to(dtype)
      result.bias = bias.to(dtype)
      return result
    }
  }

  private let window: Tensor
  private let windowBias: Tensor
  private let weight: Tensor
  private let bias: Tensor
  private let parts: Int
  /// Where the shuffle puts each channel of the joined maps.
  private let places: Tensor
  /// The means that missing channels are, `[missing, outputs]`, if any are missing.
  private let means: Tensor?
  /// Ones where a group of outputs is that of the inputs, `[parts, 1, parts, 1]`.
  private let unit: Tensor
  private let prepared: Matrices?

  init(_ scope: Scope, _ width: Int, parts: Int, outputs: Int) {
    let channels = parts * width
    let projected = outputs / parts * parts
    let device = scope.store.device
    let start = Initializer.truncatedNormal(deviation: 0.02)
    window = scope[0].parameter("weight", [channels, 1, 3, 3], start)
    windowBias = scope[0].parameter("bias", [channels], .zeros)
    weight = scope[2].parameter("weight", [projected, width, 1, 1], start)
    bias = scope[2].parameter("bias", [projected], .zeros)
    self.parts = parts
    places = Tensor((0..<channels).map { Int64($0 % parts * width + $0 / parts) }).to(device: device)
    let missing = outputs - projected
    means =
      missing == 0
      ? nil
      : Tensor(Self.means(missing, of: projected), [missing, projected])
        .to(device: device, dtype: scope.store.dtype)
    unit = Tensor(
      (0..<parts * parts).map { $0 % (parts + 1) == 0 ? Float(1) : 0 }, [parts, 1, parts, 1]
    ).to(device: device, dtype: scope.store.dtype)
    prepared =
      scope.mode.isPrepared
      ? Self.matrices(window, windowBias, weight, bias, places, means, unit)
        .converted(to: scope.mode.dtype ?? scope.store.dtype) : nil
  }

  /// The rows of an adaptive average over channels.
  private static func means(_ rows: Int, of columns: Int) -> [Double] {
    (0..<rows).flatMap { row in
      let bin = row * columns / rows..<((row + 1) * columns + rows - 1) / rows
      return (0..<columns).map { bin.contains($0) ? 1 / Double(bin.count) : 0 }
    }
  }

  /// The parameters for maps joined in their own order.
  var matrices: Matrices {
    prepared ?? Self.matrices(window, windowBias, weight, bias, places, means, unit)
  }

  private static func matrices(
    _ window: Tensor, _ windowBias: Tensor, _ weight: Tensor, _ bias: Tensor, _ places: Tensor,
    _ means: Tensor?, _ unit: Tensor
  ) -> Matrices {
    let (outputs, width, parts) = (weight.size(0), weight.size(1), unit.size(0))
    let blocks = weight.reshape(parts, outputs / parts, 1, width) * unit
    var dense = blocks.reshape(outputs, parts * width).indexSelect(1, places)
    var offset = bias
    if let means {
      dense = concatenate([dense, means.matmul(dense)], along: 0)
      offset = concatenate([offset, means.matmul(offset.unsqueeze(1)).squeeze(1)], along: 0)
    }
    return Matrices(
      window: window.indexSelect(0, places), windowBias: windowBias.indexSelect(0, places), weight: dense,
      bias: offset)
  }

  /// The map `[B, outputs, H, W]` of the parts, `[B, C, H, W]` each.
  func callAsFunction(_ maps: [Tensor]) -> Tensor {
    let matrices = self.matrices
    return (maps.count == 1 ? maps[0] : .join(maps))
      .depthwiseConv2d(matrices.window, bias: matrices.windowBias, stride: 1, padding: 1, activation: .gelu)
      .permute(0, 2, 3, 1).linear(matrices.weight, bias: matrices.bias).permute(0, 3, 1, 2)
  }
}
