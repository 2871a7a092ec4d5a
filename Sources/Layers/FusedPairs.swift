public import Torch

/// A convolution, batch normalisation and an optional activation.
///
/// One type, because in a prepared model the normalisation is part of the convolution's weight.
public struct ConvNorm: Layer {
  private enum Form {
    case plain(ConvolutionParameters, BatchNorm2d, Activation?)
    case prepared(PreparedConvolution)
  }
  private let form: Form

  /// Declares the parameters of both, whose published keys lie beside each other.
  ///
  /// - Parameters:
  ///   - conv: where the convolution's parameters go.
  ///   - norm: where the normalisation's parameters go.
  ///   - inputs: channels in.
  ///   - outputs: channels out.
  ///   - kernel: the side of the window in pixels.
  ///   - stride: pixels between windows.
  ///   - groups: parts that channels are divided into.
  ///   - bias: whether the convolution has one, besides the normalisation's.
  ///   - epsilon: what the normalisation adds to the variance.
  ///   - activation: what follows, if anything.
  ///   - initializer: how the convolution's weight starts.
  public init(
    conv: Scope, norm: Scope, _ inputs: Int, _ outputs: Int, kernel: Int, stride: Int = 1, groups: Int = 1,
    bias: Bool = false, epsilon: Double = 1e-5, activation: Activation? = nil,
    initializer: Initializer = .truncatedNormal(deviation: 0.02)
  ) {
    let parameters = ConvolutionParameters(
      conv, inputs, outputs, kernel: kernel, stride: stride, groups: groups, bias: bias,
      initializer: initializer)
    let normalization = BatchNorm2d(norm, outputs, epsilon: epsilon)
    form =
      conv.mode.isPrepared
      ? .prepared(PreparedConvolution(parameters.folding(normalization), activation, conv.mode))
      : .plain(parameters, normalization, activation)
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    switch form {
    case .plain(let convolution, let norm, let activation): activation(norm(convolution(x)))
    case .prepared(let convolution): convolution(x)
    }
  }
}

/// A shortcut with an optional learned scale, and a branch that training drops at random: scale(x) + dropPath(branch).
///
/// One type, because in a prepared model scale, offset and sum are one pass.
public struct ScaledResidual {
  private let scale: ChannelScale?
  private let dropPath: DropPath
  private let prepared: (scale: Tensor, offset: Tensor)?

  /// Declares the scale, if there is one.
  ///
  /// - Parameters:
  ///   - scale: where the scale's parameters go and what they start from; `nil` for a plain shortcut.
  ///   - dropPath: how the branch is dropped.
  ///   - channels: the width of the shortcut.
  public init(scale: (scope: Scope, initialValue: Double)?, dropPath: DropPath, _ channels: Int) {
    let declared = scale.map { ChannelScale($0.scope, channels, initialValue: $0.initialValue) }
    self.dropPath = dropPath
    if let declared, dropPath.isPrepared, hasMapKernels(declared.weight) {
      prepared = (declared.weight.reshape(-1).detached(), declared.bias.detached())
      self.scale = nil
    } else {
      prepared = nil
      self.scale = declared
    }
  }

  /// The sum of the scaled shortcut and the branch, both `[B, C, H, W]`.
  public func callAsFunction(_ shortcut: Tensor, _ branch: Tensor) -> Tensor {
    if let prepared { return shortcut.mapScaled(prepared.scale, prepared.offset, plus: branch) }
    if let scale, shortcut.device.isCUDA {
      return shortcut.scaledSum(scale.weight.reshape(-1), scale.bias, plus: dropPath(branch))
    }
    return scale(shortcut) + dropPath(branch)
  }
}

/// A learned factor and offset for each channel of `[B, C, H, W]`.
public struct ChannelScale: Layer {
  let weight: Tensor
  let bias: Tensor

  /// Declares `weight` `[C, 1, 1, 1]`, the shape of a depthwise 1x1 convolution as published, and `bias` `[C]`.
  public init(_ scope: Scope, _ channels: Int, initialValue: Double) {
    weight = scope.parameter("weight", [channels, 1, 1, 1], .constant(initialValue))
    bias = scope.parameter("bias", [channels], .zeros)
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    OperationCounter.add(x.count)
    return x * weight.reshape(1, -1, 1, 1) + bias.reshape(1, -1, 1, 1)
  }
}
