import Torch

/// The softmax of channels that attend to their group, against LibTorch's in float64.
struct GroupSoftmaxCheck: KernelCheck {
  let kernel = "group_softmax"
  let channels: Int
  let groups: Int
  let dtype: DType

  private let scale = 0.25

  var detail: String { "c\(channels)/g\(groups)/\(dtype)" }
  var truthKey: String { id }

  private var operands: [(name: String, tensor: Tensor)] {
    [("x", operand("softmax x", [2, channels, channels], -4, 4, dtype))]
  }

  private var probe: Tensor { operand("softmax probe", [2, channels, channels], -1, 1, dtype) }

  func truth() -> [KernelOutput] {
    let wide = operands.map { (name: $0.name, tensor: $0.tensor.to(.float64)) }
    return outputsAndGradients(of: wide, probe: { _ in probe.to(.float64) }) {
      [("output", definition($0[0]))]
    }
  }

  func computed(on device: Device) -> [KernelOutput] {
    let own = operands.map { (name: $0.name, tensor: $0.tensor.to(device: device)) }
    return outputsAndGradients(of: own, probe: { probe.to(device: device, dtype: $0.dtype) }) {
      [("output", $0[0].groupSoftmax(groups: groups, scale: scale))]
    }
  }

  private func definition(_ x: Tensor) -> Tensor {
    let width = channels / groups
    let rows = (0..<groups).map { group in
      let own = x.narrow(1, from: group * width, length: width).narrow(2, from: group * width, length: width)
      let columns = (0..<groups).map { other in
        other == group ? (own * scale).softmax(-1) : Tensor.zeros([2, width, width], dtype: .float64)
      }
      return concatenate(columns, along: 2)
    }
    return concatenate(rows, along: 1)
  }
}

/// The bias and activation after a convolution, in place and without gradients.
struct BiasCheck: KernelCheck {
  let kernel = "bias_activation"
  let (height, width): (Int, Int)
  let channels: Int
  let activation: FusedActivation
  let dtype: DType

  var detail: String { "\(activation)/\(height)x\(width)/c\(channels)/\(dtype)" }
  var truthKey: String { id }

  private var x: Tensor { operand("bias x", [2, channels, height, width], -2, 2, dtype) }
  private var bias: Tensor { operand("bias", [channels], -1, 1, parameterType(beside: dtype)) }

  func truth() -> [KernelOutput] {
    let sum = x.to(.float64) + bias.to(.float64).reshape(1, -1, 1, 1)
    return [KernelOutput("output", activation(sum))]
  }

  func computed(on device: Device) -> [KernelOutput] {
    let own = withoutGradients {
      x.to(device: device).contiguous(.channelsLast).clone().addingBias(bias.to(device: device), activation)
    }
    return [KernelOutput("output", own)]
  }
}
