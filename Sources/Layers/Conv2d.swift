public import Torch

/// A 2-D convolution of `[B, C, H, W]`.
public struct Conv2d: Layer {
  /// `[O, C/G, k, k]`.
  public let weight: Tensor
  /// `[O]`, if any.
  public let bias: Tensor?
  let stride: Int
  let padding: Int
  let groups: Int

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
  ///   - initializer: how the weight starts.
  public init(
    _ scope: Scope, _ inputs: Int, _ outputs: Int, kernel: Int, stride: Int = 1, padding: Int? = nil,
    groups: Int = 1, bias: Bool = true, initializer: Initializer = .truncatedNormal(deviation: 0.02)
  ) {
    if inputs % groups != 0 || outputs % groups != 0 {
      fatalError(
        "Conv2d `\(scope.key)`: \(inputs) and \(outputs) channels do not divide into \(groups) groups")
    }
    weight = scope.parameter("weight", [outputs, inputs / groups, kernel, kernel], initializer)
    self.bias = bias ? scope.parameter("bias", [outputs], .zeros) : nil
    self.stride = stride
    self.padding = padding ?? kernel / 2
    self.groups = groups
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    x.conv2d(weight, bias: bias, stride: stride, padding: padding, groups: groups)
  }
}

/// A depthwise convolution added to its input: x + conv(x).
///
/// One type, because the sum folds into the kernel's centre.
public struct ResidualDepthwiseConv: Layer {
  let conv: Conv2d

  /// Declares the convolution's parameters in `scope`.
  public init(_ scope: Scope, _ channels: Int, kernel: Int) {
    conv = Conv2d(scope, channels, channels, kernel: kernel, groups: channels)
  }

  public func callAsFunction(_ x: Tensor) -> Tensor { x + conv(x) }
}
