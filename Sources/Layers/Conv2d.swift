public import Torch

/// A 2-D convolution of `[B, C, H, W]` and an optional activation.
///
/// One type, because in a prepared model the activation is part of the convolution's pass.
public struct Conv2d: Layer {
  private enum Form {
    case plain(ConvolutionParameters, Activation?)
    case prepared(PreparedConvolution)
  }
  private let form: Form

  /// `[O, C/G, k, k]`; `nil` in a prepared model, which has packed it.
  public var weight: Tensor? {
    guard case .plain(let parameters, _) = form else { return nil }
    return parameters.weight
  }

  /// `[O]`, if any; `nil` in a prepared model.
  public var bias: Tensor? {
    guard case .plain(let parameters, _) = form else { return nil }
    return parameters.bias
  }

  /// Declares `weight` and `bias`, started as the published backbones do: truncated normal 0.02 and zeros.
  ///
  /// - Parameters:
  ///   - scope: where the parameters go.
  ///   - inputs: channels in.
  ///   - outputs: channels out.
  ///   - kernel: the side of the window in pixels.
  ///   - stride: pixels between windows.
  ///   - padding: zeros around the map; half a window if absent, which keeps the size at stride 1.
  ///   - groups: parts that channels are divided into; each part of the outputs sees one part of the inputs.
  ///   - bias: whether there is one.
  ///   - activation: what follows, if anything.
  ///   - initializer: how the weight starts.
  ///   - biasInitializer: how the bias starts.
  public init(
    _ scope: Scope, _ inputs: Int, _ outputs: Int, kernel: Int, stride: Int = 1, padding: Int? = nil,
    groups: Int = 1, bias: Bool = true, activation: Activation? = nil,
    initializer: Initializer = .truncatedNormal(deviation: 0.02), biasInitializer: Initializer = .zeros
  ) {
    let parameters = ConvolutionParameters(
      scope, inputs, outputs, kernel: kernel, stride: stride, padding: padding, groups: groups, bias: bias,
      initializer: initializer, biasInitializer: biasInitializer)
    form =
      scope.mode.isPrepared
      ? .prepared(PreparedConvolution(parameters, activation, scope.mode)) : .plain(parameters, activation)
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    switch form {
    case .plain(let parameters, let activation): parameters(x, activation)
    case .prepared(let convolution): convolution(x)
    }
  }
}

/// A depthwise convolution added to its input, and an optional activation: activation(x + conv(x)).
///
/// One type, because in a prepared model the sum is part of the window's centre.
public struct ResidualDepthwiseConv: Layer {
  private enum Form {
    case plain(ConvolutionParameters, Activation?)
    case prepared(PreparedConvolution)
  }
  private let form: Form

  /// Declares the convolution's parameters in `scope`.
  public init(_ scope: Scope, _ channels: Int, kernel: Int, activation: Activation? = nil) {
    let parameters = ConvolutionParameters(scope, channels, channels, kernel: kernel, groups: channels)
    form =
      scope.mode.isPrepared
      ? .prepared(PreparedConvolution(parameters.addingInput(), activation, scope.mode))
      : .plain(parameters, activation)
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    switch form {
    case .plain(let parameters, let activation): parameters(x, addingInput: true, activation)
    case .prepared(let convolution): convolution(x)
    }
  }
}
