import Torch

/// An operator on maps of the GPU kernels, against LibTorch's operators in float64.
///
/// Letters: B batch, C channels, H, W positions.
struct MapCheck: KernelCheck {
  /// What is compared.
  enum Operation: Hashable {
    /// A depthwise convolution by a window of that size, with what follows it.
    case depthwise(window: Int, stride: Int, addsInput: Bool, FusedActivation)
    /// The normalisation over a whole sample.
    case norm
    /// A scaled map plus another.
    case scaledSum
    /// Two maps joined along channels, in another order if asked for.
    case join(reorders: Bool)
  }

  let operation: Operation
  let (height, width): (Int, Int)
  let channels: Int
  let dtype: DType
  let layout: KernelLayout

  private let batch = 2

  var kernel: String {
    switch operation {
    case .depthwise(let window, let stride, let addsInput, let activation):
      "depthwise\(window)_s\(stride)_\(activation)" + (addsInput ? "_residual" : "")
    case .norm: "norm"
    case .scaledSum: "scaled_sum"
    case .join(let reorders): reorders ? "join_reordered" : "join"
    }
  }

  var detail: String { "\(height)x\(width)/c\(channels)/\(dtype)/\(layout.rawValue)" }
  var truthKey: String { "\(kernel) \(height)x\(width) \(channels) \(dtype)" }

  private var map: [Int] { [batch, channels, height, width] }

  /// The operands by name, maps rounded to the type.
  private var operands: [(name: String, tensor: Tensor)] {
    let parameters = parameterType(beside: dtype)
    func of(_ name: String, _ shape: [Int], _ dtype: DType) -> (name: String, tensor: Tensor) {
      (name, operand("map \(name)", shape, -1, 1, dtype))
    }
    let x = of("x", map, dtype)
    switch operation {
    case .depthwise(let window, _, _, _):
      return [
        x, of("weight", [channels, 1, window, window], parameters), of("bias", [channels], parameters),
      ]
    case .norm:
      return [x, of("weight", [channels], parameters), of("bias", [channels], parameters)]
    case .scaledSum:
      return [
        x, of("scale", [channels], parameters), of("offset", [channels], parameters),
        of("branch", map, dtype),
      ]
    case .join: return [x, of("other", [batch, 2 * channels, height, width], dtype)]
    }
  }

  private func probe(_ result: Tensor) -> Tensor { operand("map probe", result.shape, -1, 1, dtype) }

  func truth() -> [KernelOutput] {
    let wide = operands.map { (name: $0.name, tensor: $0.tensor.to(.float64)) }
    return outputsAndGradients(of: wide, probe: { probe($0).to(.float64) }) { [("output", definition($0))] }
  }

  func computed(on device: Device) -> [KernelOutput] {
    let own = operands.map { name, tensor in
      let tensor = tensor.to(device: device)
      return (name: name, tensor: tensor.shape.suffix(2) == map.suffix(2) ? layout.of(tensor) : tensor)
    }
    return outputsAndGradients(
      of: own, probe: { layout.of(probe($0).to(device: device, dtype: $0.dtype)) }
    ) { [("output", run($0))] }
  }

  /// Channels in steps of 5 or 7, which meets each once.
  private func order(on device: Device) -> Tensor {
    let count = 3 * channels
    let step = [5, 7, 11, 13].first { count % $0 != 0 } ?? 1
    return Tensor((0..<count).map { Int32($0 * step % count) }).to(device: device)
  }

  private func run(_ x: [Tensor]) -> Tensor {
    switch operation {
    case .depthwise(let window, let stride, let addsInput, let activation):
      x[0].depthwiseConv2d(
        x[1], bias: x[2], stride: stride, padding: window / 2, addsInput: addsInput, activation: activation)
    case .norm: x[0].oneGroupNorm(weight: x[1], bias: x[2], epsilon: 1e-5)
    case .scaledSum: x[0].scaledSum(x[1], x[2], plus: x[3])
    case .join(let reorders): .join([x[0], x[1]], order: reorders ? order(on: x[0].device) : nil)
    }
  }

  private func definition(_ x: [Tensor]) -> Tensor {
    switch operation {
    case .depthwise(let window, let stride, let addsInput, let activation):
      let sums = x[0].conv2d(
        x[1], bias: x[2], stride: stride, padding: window / 2, groups: channels)
      return activation(addsInput ? x[0] + sums : sums)
    case .norm: return x[0].groupNorm(groups: 1, weight: x[1], bias: x[2], epsilon: 1e-5)
    case .scaledSum:
      let (scale, offset) = (x[1].reshape(1, -1, 1, 1), x[2].reshape(1, -1, 1, 1))
      return x[0] * scale + offset + x[3]
    case .join(let reorders):
      let joined = concatenate([x[0], x[1]], along: 1)
      return reorders ? joined.indexSelect(1, order(on: .cpu).to(.int64)) : joined
    }
  }
}
