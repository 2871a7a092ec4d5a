public import Torch

/// Batch normalisation of `[B, C, H, W]`: batch statistics in training, running ones otherwise.
///
/// Ioffe & Szegedy (1502.03167). When a checkpointed forward pass is repeated, the running statistics stay as the
/// first pass left them. With weight and bias frozen it behaves in training as it does otherwise.
public struct BatchNorm2d: Layer {
  /// `[C]`.
  public let weight: Tensor
  /// `[C]`.
  public let bias: Tensor
  /// `[C]`.
  public let runningMean: Tensor
  /// `[C]`.
  public let runningVariance: Tensor
  let batches: Tensor
  let momentum: Double
  let epsilon: Double
  let mode: Mode

  /// Declares the affine parameters and the running statistics.
  public init(_ scope: Scope, _ channels: Int, momentum: Double = 0.1, epsilon: Double = 1e-5) {
    weight = scope.parameter("weight", [channels], .ones)
    bias = scope.parameter("bias", [channels], .zeros)
    runningMean = scope.buffer("running_mean", [channels], .zeros)
    runningVariance = scope.buffer("running_var", [channels], .ones)
    batches = scope.buffer("num_batches_tracked", [], .zeros, dtype: .int64)
    self.momentum = momentum
    self.epsilon = epsilon
    mode = scope.mode
  }

  /// The normalisation by running statistics as a factor and an offset of each channel, `[C]` in float64.
  var affine: (factor: Tensor, offset: Tensor) {
    let factor = weight.to(.float64) * (runningVariance.to(.float64) + epsilon).rsqrt()
    return (factor, bias.to(.float64) - runningMean.to(.float64) * factor)
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    let isTraining = mode.isTraining && (weight.requiresGradient || bias.requiresGradient)
    let isRepeated = Recomputation.isActive && isTraining
    if isTraining && !isRepeated { withoutGradients { batches.add(Tensor(1)) } }
    return x.batchNorm(
      weight: weight, bias: bias, runningMean: isRepeated ? nil : runningMean,
      runningVariance: isRepeated ? nil : runningVariance, training: isTraining, momentum: momentum,
      epsilon: epsilon)
  }
}

/// Normalisation of `[B, C, H, W]` over groups of channels and all positions of a sample.
///
/// Wu & He (1803.08494).
public struct GroupNorm: Layer {
  /// `[C]`.
  public let weight: Tensor
  /// `[C]`.
  public let bias: Tensor
  let groups: Int
  let epsilon: Double
  /// Whether our own kernel normalises, in a prepared model.
  private let usesMapKernel: Bool

  /// Declares the affine parameters.
  public init(_ scope: Scope, _ channels: Int, groups: Int = 1, epsilon: Double = 1e-5) {
    weight = scope.parameter("weight", [channels], .ones)
    bias = scope.parameter("bias", [channels], .zeros)
    self.groups = groups
    self.epsilon = epsilon
    usesMapKernel = scope.mode.isPrepared && groups == 1 && hasMapKernels(weight)
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    if usesMapKernel { return x.mapNorm(weight: weight, bias: bias, epsilon: epsilon) }
    if groups == 1, x.rank == 4, x.device.isCUDA {
      return x.oneGroupNorm(weight: weight, bias: bias, epsilon: epsilon)
    }
    return x.groupNorm(groups: groups, weight: weight, bias: bias, epsilon: epsilon)
  }
}

/// Normalisation of `[B, C, H, W]` over the channels of each position.
///
/// Ba, Kiros & Hinton, layer normalisation (1607.06450), as ConvNeXt applies it to maps.
public struct LayerNorm2d: Layer {
  /// `[C]`.
  public let weight: Tensor
  /// `[C]`.
  public let bias: Tensor
  let channels: Int
  let epsilon: Double

  /// Declares the affine parameters.
  public init(_ scope: Scope, _ channels: Int, epsilon: Double) {
    weight = scope.parameter("weight", [channels], .ones)
    bias = scope.parameter("bias", [channels], .zeros)
    self.channels = channels
    self.epsilon = epsilon
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    x.permute(0, 2, 3, 1)  // [B, H, W, C]
      .layerNorm([channels], weight: weight, bias: bias, epsilon: epsilon)
      .permute(0, 3, 1, 2)  // [B, C, H, W]
  }
}
