/// Whether this LibTorch has oneDNN's products with an activation in the same pass.
public let hasPackedProducts = OneDNN.shared != nil

/// oneDNN's operators that LibTorch registers outside ATen, where it was built with them.
///
/// On processors that its usual library for products does not favour they are more than twice as fast.
private struct OneDNN: Sendable {
  let linear: Operator
  let packLinear: Operator
  let convolution: Operator
  let packConvolution: Operator

  static let shared: OneDNN? = {
    guard let linear = try? Operator("mkldnn::_linear_pointwise"),
      let packLinear = try? Operator("mkldnn::_reorder_linear_weight"),
      let convolution = try? Operator("mkldnn::_convolution_pointwise"),
      let packConvolution = try? Operator("mkldnn::_reorder_convolution_weight")
    else { return nil }
    return OneDNN(
      linear: linear, packLinear: packLinear, convolution: convolution, packConvolution: packConvolution)
  }()

  /// The library, for tensors that it multiplies.
  static func supporting(_ weight: Tensor) -> OneDNN? {
    weight.dtype == .float32 && weight.device == .cpu ? shared : nil
  }
}

/// `activation(x Wᵀ + b)` for inference, with W in the order in which the product reads it.
public struct PackedLinear {
  private let weight: Tensor
  private let bias: Tensor?
  private let activation: FusedActivation
  private let library: OneDNN?
  private let inputs: Int
  private let outputs: Int

  /// Packs a weight `[O, I]`; on a GPU, where there is nothing to pack, it is kept in the type `dtype`.
  public init(
    _ weight: Tensor, bias: Tensor?, activation: FusedActivation = .identity, dtype: DType? = nil
  ) {
    library = OneDNN.supporting(weight)
    let dtype = weight.device.isCUDA ? dtype ?? weight.dtype : weight.dtype
    let weight = weight.detached().contiguous().to(dtype)
    (outputs, inputs) = weight.shape2
    self.weight = library?.packLinear(.tensor(weight), .none) ?? weight
    self.bias = bias?.detached().contiguous().to(dtype)
    self.activation = activation
  }

  /// The product over the last dimension: `[…, O]` of x `[…, I]`.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    guard let library else { return activation(x.linear(weight, bias: bias)) }
    require(
      x.size(-1) == inputs && x.dtype == .float32,
      "PackedLinear: expected float32 […, \(inputs)], got \(x.summary)")
    OperationCounter.add(x.count * outputs)
    let (name, algorithm) = activation.oneDNN
    return library.linear(
      .tensor(x.contiguous()), .tensor(weight), .optional(bias), .string(name), .numbers([]), algorithm)
  }
}

/// `activation(conv(x) + b)` of maps stored channels last, for inference, with the weight in the order in which the
/// convolution reads it.
public final class PackedConvolution {
  private let weight: Tensor
  private let bias: Tensor?
  private let stride: Int
  private let padding: Int
  private let groups: Int
  private let activation: FusedActivation
  private let library: OneDNN?
  /// The best order depends on the size of the map; the latest is kept.
  private var packed: (shape: [Int], weight: Tensor)?

  /// A convolution by a weight `[O, C/G, k, k]`.
  public init(
    _ weight: Tensor, bias: Tensor?, stride: Int, padding: Int, groups: Int,
    activation: FusedActivation = .identity
  ) {
    library = OneDNN.supporting(weight)
    self.weight = weight.detached().contiguous(.channelsLast)
    self.bias = bias?.detached().contiguous()
    self.stride = stride
    self.padding = padding
    self.groups = groups
    self.activation = activation
  }

  /// The map `[B, O, …]` of a map `[B, C, H, W]`.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    let x = x.contiguous(.channelsLast)
    guard let library else {
      return activation(x.conv2d(weight, bias: bias, stride: stride, padding: padding, groups: groups))
    }
    let (name, algorithm) = activation.oneDNN
    let result = library.convolution(
      .tensor(x), .tensor(weight(for: x, library)), .optional(bias), .ints([padding, padding]),
      .ints([stride, stride]), .ints([1, 1]), .int(groups), .string(name), .numbers([]), algorithm)
    OperationCounter.add(result.count * weight.count / Swift.max(1, weight.size(0)))
    return result
  }

  private func weight(for x: Tensor, _ library: OneDNN) -> Tensor {
    let shape = x.shape
    if let packed, packed.shape == shape { return packed.weight }
    let fresh = library.packConvolution(
      .tensor(weight), .ints([padding, padding]), .ints([stride, stride]), .ints([1, 1]), .int(groups),
      .ints(shape))
    packed = (shape, fresh)
    return fresh
  }
}
