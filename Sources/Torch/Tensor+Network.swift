/// Which way an image or feature map is resized.
public enum Interpolation: Sendable {
  /// The nearest element.
  case nearest
  /// Linear in each direction; `antialias` widens the filter when shrinking, as Pillow does.
  case bilinear(antialias: Bool = false)
  /// Cubic in each direction (a = -0.75, or -0.5 with `antialias`, as Pillow).
  case bicubic(antialias: Bool = false)
}

/// Which form of the GELU activation is meant; they differ by up to 5e-4.
public enum GELUForm: Sendable {
  /// x Φ(x) by the error function.
  case exact
  /// The hyperbolic-tangent approximation.
  case tanh
}

// Letters: B batch, C channels, H height, W width, O output channels, G groups.
extension Tensor {
  /// A 2-D cross-correlation of `[B, C, H, W]` with `weight` `[O, C/G, kH, kW]`.
  public func conv2d(
    _ weight: Tensor, bias: Tensor? = nil, stride: Int = 1, padding: Int = 0, dilation: Int = 1,
    groups: Int = 1
  ) -> Tensor {
    let result = Aten.conv2d(
      .tensor(self), .tensor(weight), .optional(bias), .ints([stride, stride]), .ints([padding, padding]),
      .ints([dilation, dilation]), .int(groups))
    OperationCounter.add(result.count * weight.count / Swift.max(1, weight.size(0)))
    return result
  }

  /// A 1-D cross-correlation of `[B, C, L]` with `weight` `[O, C/G, k]`.
  public func conv1d(
    _ weight: Tensor, bias: Tensor? = nil, stride: Int = 1, padding: Int = 0, groups: Int = 1
  ) -> Tensor {
    let result = Aten.conv1d(
      .tensor(self), .tensor(weight), .optional(bias), .ints([stride]), .ints([padding]), .ints([1]),
      .int(groups))
    OperationCounter.add(result.count * weight.count / Swift.max(1, weight.size(0)))
    return result
  }

  /// A 2-D transposed convolution of `[B, C, H, W]` with `weight` `[C, O/G, kH, kW]`.
  public func convTranspose2d(
    _ weight: Tensor, bias: Tensor? = nil, stride: Int = 1, padding: Int = 0, outputPadding: Int = 0,
    groups: Int = 1
  ) -> Tensor {
    OperationCounter.add(count * weight.count / Swift.max(1, weight.size(0)))
    return Aten.convTranspose2d(
      .tensor(self), .tensor(weight), .optional(bias), .ints([stride, stride]), .ints([padding, padding]),
      .ints([outputPadding, outputPadding]), .int(groups))
  }

  /// `x Wᵀ + b` over the last dimension, with `weight` `[O, I]`.
  public func linear(_ weight: Tensor, bias: Tensor? = nil) -> Tensor {
    OperationCounter.add(count * weight.size(0))
    return Aten.linear(.tensor(self), .tensor(weight), .optional(bias))
  }

  /// Normalisation of each channel over batch and positions (training) or by running statistics (otherwise).
  public func batchNorm(
    weight: Tensor?, bias: Tensor?, runningMean: Tensor?, runningVariance: Tensor?, training: Bool,
    momentum: Double, epsilon: Double
  ) -> Tensor {
    Aten.batchNorm(
      .tensor(self), .optional(weight), .optional(bias), .optional(runningMean), .optional(runningVariance),
      .bool(training), .double(momentum), .double(epsilon), .bool(true))
  }

  /// Normalisation over groups of channels and all positions of a sample.
  public func groupNorm(groups: Int, weight: Tensor?, bias: Tensor?, epsilon: Double) -> Tensor {
    Aten.groupNorm(.tensor(self), .int(groups), .optional(weight), .optional(bias), .double(epsilon))
  }

  /// Normalisation over the last dimensions, of sizes `shape`.
  public func layerNorm(_ shape: [Int], weight: Tensor?, bias: Tensor?, epsilon: Double) -> Tensor {
    Aten.layerNorm(.tensor(self), .ints(shape), .optional(weight), .optional(bias), .double(epsilon))
  }

  /// Division by the root mean square over the last dimensions, of sizes `shape`.
  public func rmsNorm(_ shape: [Int], weight: Tensor?, epsilon: Double) -> Tensor {
    Aten.rmsNorm(.tensor(self), .ints(shape), .optional(weight), .double(epsilon))
  }

  /// max(x, 0).
  public func relu() -> Tensor { Aten.relu(.tensor(self)) }
  /// x Φ(x).
  public func gelu(_ form: GELUForm = .exact) -> Tensor {
    Aten.gelu(.tensor(self), .string(form == .exact ? "none" : "tanh"))
  }
  /// x σ(x).
  public func silu() -> Tensor { Aten.silu(.tensor(self)) }
  /// 1 / (1 + exp(-x)).
  public func sigmoid() -> Tensor { Aten.sigmoid(.tensor(self)) }
  /// The hyperbolic tangent.
  public func tanh() -> Tensor { Aten.tanh(.tensor(self)) }
  /// log(1 + exp(x)), the identity above 20.
  public func softplus() -> Tensor { Aten.softplus(.tensor(self)) }
  /// x, or `slope` x below 0.
  public func leakyReLU(slope: Double = 0.01) -> Tensor { Aten.leakyReLU(.tensor(self), .double(slope)) }
  /// Exponentials that sum to 1 along a dimension.
  public func softmax(_ dimension: Int) -> Tensor { Aten.softmax(.tensor(self), .int(dimension)) }
  /// The logarithm of ``softmax(_:)``.
  public func logSoftmax(_ dimension: Int) -> Tensor { Aten.logSoftmax(.tensor(self), .int(dimension)) }

  /// The mean over windows.
  public func averagePool2d(kernel: Int, stride: Int? = nil, padding: Int = 0, countPadding: Bool = true)
    -> Tensor
  {
    let step = stride ?? kernel
    return Aten.avgPool2d(
      .tensor(self), .ints([kernel, kernel]), .ints([step, step]), .ints([padding, padding]), .bool(false),
      .bool(countPadding))
  }
  /// The maximum over windows.
  public func maxPool2d(kernel: Int, stride: Int? = nil, padding: Int = 0) -> Tensor {
    let step = stride ?? kernel
    return Aten.maxPool2d(
      .tensor(self), .ints([kernel, kernel]), .ints([step, step]), .ints([padding, padding]))
  }
  /// The mean over as many windows as `height` by `width` asks for.
  public func adaptiveAveragePool2d(_ height: Int, _ width: Int) -> Tensor {
    Aten.adaptiveAvgPool2d(.tensor(self), .ints([height, width]))
  }
  /// The mean over `length` windows of the last dimension.
  public func adaptiveAveragePool1d(_ length: Int) -> Tensor {
    Aten.adaptiveAvgPool1d(.tensor(self), .ints([length]))
  }

  /// `[B, C, H, W]` resized to `height` by `width`, positions counted at element centres (align corners off).
  public func resized(_ height: Int, _ width: Int, _ interpolation: Interpolation) -> Tensor {
    let size = Argument.ints([height, width])
    switch interpolation {
    case .nearest: return Aten.nearest(.tensor(self), size)
    case .bilinear(antialias: false): return Aten.bilinear(.tensor(self), size, .bool(false))
    case .bilinear(antialias: true): return Aten.bilinearAA(.tensor(self), size, .bool(false))
    case .bicubic(antialias: false): return Aten.bicubic(.tensor(self), size, .bool(false))
    case .bicubic(antialias: true): return Aten.bicubicAA(.tensor(self), size, .bool(false))
    }
  }

  /// softmax(q kᵀ · scale) v over the last two dimensions; `scale` is 1/√(last size of q) unless given.
  public static func attention(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor? = nil, scale: Double? = nil
  ) -> Tensor {
    OperationCounter.add(query.count / query.size(-1) * key.size(-2) * (query.size(-1) + value.size(-1)))
    return Aten.sdpa(
      .tensor(query), .tensor(key), .tensor(value), .optional(bias), .double(0), .bool(false),
      scale.map(Argument.double) ?? .none)
  }
}
