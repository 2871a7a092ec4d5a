import TestSupport
import Testing
import Torch

/// The kernels for maps stored channels last against LibTorch's operators in float64, for every instruction set.
///
/// Serialized, since the instruction set belongs to the thread that a test runs on.
@Suite(.serialized) struct MapKernelTests {
  struct Case: CustomTestStringConvertible, Sendable {
    var size = [2, 16, 7, 9]
    var kernel = 3, stride = 1
    var padding: Int?
    var activation = FusedActivation.identity
    var hasBias = true
    var testDescription: String {
      "\(size), kernel \(kernel), stride \(stride), padding \(padding ?? kernel / 2), \(activation), bias \(hasBias)"
    }
  }

  private func withEachCapability(_ body: (String) throws -> Void) throws {
    defer { try? Engine.setScanCapability(nil) }
    for capability in ["portable", "avx2", "avx512"] {
      guard (try? Engine.setScanCapability(capability)) != nil else { continue }
      try body(capability)
    }
  }

  private let types: [(DType, Double)] = [(.float32, 3e-7), (.float64, 1e-14)]

  @Test(arguments: [
    Case(), Case(kernel: 5), Case(kernel: 7), Case(kernel: 1), Case(kernel: 4, stride: 2, padding: 1),
    Case(size: [1, 3, 1, 1]), Case(size: [1, 1, 5, 4], kernel: 5), Case(size: [1, 96, 56, 31]),
    Case(size: [3, 37, 8, 17], kernel: 5, stride: 4), Case(size: [1, 20, 9, 8], kernel: 3, stride: 2),
    Case(size: [1, 5, 3, 3], kernel: 7), Case(size: [2, 64, 2, 40], kernel: 7, padding: 0 + 3),
    Case(size: [1, 33, 12, 12], kernel: 3, padding: 0), Case(size: [1, 17, 6, 6], kernel: 3, padding: 4),
    Case(hasBias: false), Case(activation: .relu), Case(activation: .gelu), Case(activation: .geluTanh),
    Case(kernel: 5, activation: .silu), Case(size: [1, 3, 6, 6], activation: .gelu),
    Case(kernel: 5, stride: 2, activation: .gelu),
  ])
  func depthwise(_ c: Case) throws {
    let (C, k) = (c.size[1], c.kernel)
    let padding = c.padding ?? k / 2
    let x = Tensor.filled(c.size, key: "x", low: -3, high: 3, dtype: .float64)
    let weight = Tensor.filled([C, 1, k, k], key: "w", dtype: .float64)
    let bias = c.hasBias ? Tensor.filled([C], key: "b", dtype: .float64) : nil
    let plain = x.conv2d(weight, bias: bias, stride: c.stride, padding: padding, groups: C)
    let expected: Tensor
    switch c.activation {
    case .identity: expected = plain
    case .relu: expected = plain.relu()
    case .gelu: expected = plain.gelu()
    case .geluTanh: expected = plain.gelu(.tanh)
    case .silu: expected = plain.silu()
    }
    try withEachCapability { capability in
      for (dtype, tolerance) in types {
        for format in [MemoryFormat.contiguous, .channelsLast] {
          let y = withPoisonedAllocations {
            x.to(dtype: dtype).contiguous(format).mapDepthwise(
              weight.squeeze(1).permute(1, 2, 0).to(dtype), bias: bias?.to(dtype), stride: c.stride,
              padding: padding, activation: c.activation)
          }
          #expect(y.dtype == dtype && y.isContiguous(.channelsLast))
          expectClose(y, expected, tolerance, "\(capability) \(dtype) \(format)")
        }
      }
    }
  }

  @Test func activationsOverTheirWholeRange() throws {
    let values = (-6000...6000).map { Double($0) / 400 } + [-1e30, -60, 60, 1e30, 0, -0.0]
    let x = Tensor(values, [1, 1, 1, values.count])
    let one = Tensor([1.0], [1, 1, 1])
    for activation in [FusedActivation.relu, .gelu, .geluTanh, .silu] {
      let definition = x.mapDepthwise(one, bias: nil, stride: 1, padding: 0, activation: activation)
      try withEachCapability { capability in
        let y = x.to(.float32).mapDepthwise(
          one.to(.float32), bias: nil, stride: 1, padding: 0, activation: activation)
        let difference: Tensor = y.to(.float64) - definition
        // Of each value's own size: the wide ones must not hide the narrow.
        let relative = (difference.abs() / x.abs().clamped(1, .infinity)).max().item()
        #expect(relative <= 2.5e-7, "\(capability) \(activation)")
      }
    }
    let nan = Tensor([Float.nan], [1, 1, 1, 1])
    for activation in [FusedActivation.relu, .gelu, .geluTanh, .silu] {
      let y = nan.mapDepthwise(one.to(.float32), bias: nil, stride: 1, padding: 0, activation: activation)
      #expect(y.item().isNaN, "\(activation)")
    }
  }

  private func normalized(_ x: Tensor, _ weight: Tensor, _ bias: Tensor) -> Tensor {
    let centred = x - x.mean(1, 2, 3, keepDimensions: true)
    let variance = (centred * centred).mean(1, 2, 3, keepDimensions: true)
    let (w, b) = (weight.reshape(1, -1, 1, 1), bias.reshape(1, -1, 1, 1))
    return centred / (variance + 1e-5).sqrt() * w + b
  }

  @Test(arguments: [[1, 1, 1, 1], [2, 3, 5, 7], [3, 96, 56, 5], [1, 40, 70, 61], [2, 16, 1, 1]])
  func norm(_ size: [Int]) throws {
    // A mean far from zero shows a variance computed as a difference of large numbers.
    for (low, high) in [(-2.0, 2.0), (99.0, 101.0)] {
      let x = Tensor.filled(size, key: "x", low: low, high: high, dtype: .float64)
      let weight = Tensor.filled([size[1]], key: "w", low: 0.5, high: 2, dtype: .float64)
      let bias = Tensor.filled([size[1]], key: "b", dtype: .float64)
      try withEachCapability { capability in
        for (dtype, tolerance) in types {
          // What the type's own rounding of x allows.
          let rounded = x.to(dtype)
          let expected = normalized(rounded.to(.float64), weight, bias)
          let y = withPoisonedAllocations {
            rounded.mapNorm(weight: weight.to(dtype), bias: bias.to(dtype), epsilon: 1e-5)
          }
          expectClose(y, expected, tolerance * (low > 0 ? 40 : 2), "\(capability) \(dtype) \(low)")
        }
      }
    }
  }

  @Test(arguments: [[1, 1, 1, 1], [2, 37, 3, 5], [1, 128, 4, 4]]) func scaledSum(_ size: [Int]) throws {
    let x = Tensor.filled(size, key: "x", dtype: .float64)
    let branch = Tensor.filled(size, key: "branch", dtype: .float64)
    let scale = Tensor.filled([size[1]], key: "scale", dtype: .float64)
    let offset = Tensor.filled([size[1]], key: "offset", dtype: .float64)
    let expected = x * scale.reshape(1, -1, 1, 1) + offset.reshape(1, -1, 1, 1) + branch
    try withEachCapability { capability in
      for (dtype, tolerance) in types {
        let y = withPoisonedAllocations {
          x.to(dtype).mapScaled(scale.to(dtype), offset.to(dtype), plus: branch.to(dtype))
        }
        expectClose(y, expected, tolerance, "\(capability) \(dtype)")
      }
    }
  }

  @Test func join() throws {
    let maps = [3, 16, 1].map { Tensor.filled([2, $0, 3, 4], key: "\($0)", dtype: .float64) }
    let joined = concatenate(maps, along: 1)
    let order = (0..<20).map { ($0 * 7 + 3) % 20 }
    let shuffled = concatenate(order.map { joined.narrow(1, from: $0, length: 1) }, along: 1)
    try withEachCapability { capability in
      for (dtype, _) in types {
        let own = maps.map { $0.to(dtype) }
        withPoisonedAllocations {
          expectClose(.mapJoin(own), joined.to(dtype), 0, "\(capability) \(dtype)")
          expectClose(
            .mapJoin(own, order: Tensor(order.map(Int32.init), [20])), shuffled.to(dtype), 0,
            "\(capability) \(dtype) in order")
        }
      }
    }
  }

  @Test func misuseIsASentence() {
    let x = Tensor.zeros([1, 4, 5, 5])
    func expect(_ text: String, _ body: () -> Tensor) {
      let error = #expect(throws: TorchError.self) { try withTorchErrors { _ = body() } }
      #expect(error?.message.contains(text) == true, "\(error?.message ?? "")")
    }
    func depthwise(_ x: Tensor, _ weight: Tensor, stride: Int = 1, padding: Int = 1) -> Tensor {
      x.mapDepthwise(weight, bias: nil, stride: stride, padding: padding)
    }
    expect("expected [B, C, H, W]") { depthwise(.zeros([4, 5]), .zeros([3, 3, 4])) }
    expect("weight: expected shape [3, 3, 4]") { depthwise(x, .zeros([3, 3, 5])) }
    expect("expected Float as the map") { depthwise(x, .zeros([3, 3, 4], dtype: .float64)) }
    expect("take float32 or float64") {
      depthwise(x.to(.bfloat16), .zeros([3, 3, 4], dtype: .bfloat16))
    }
    expect("does not fit a map") { depthwise(x, .zeros([9, 9, 4])) }
    expect("does not fit a map") { depthwise(x, .zeros([3, 3, 4]), stride: 0) }
    expect("have no gradient") { depthwise(x.requiringGradient(), .zeros([3, 3, 4])) }
    expect("maps to be joined differ") { .mapJoin([.zeros([1, 4, 5, 5]), .zeros([1, 4, 5, 6])]) }
    expect("names a channel that is not there") {
      .mapJoin([.zeros([1, 2, 1, 1])], order: Tensor([Int32(0), 2], [2]))
    }
    expect("order: expected [2] of Int") { .mapJoin([.zeros([1, 2, 1, 1])], order: .zeros([2])) }
    expect("scale: expected shape [4]") {
      Tensor.zeros([1, 4, 5, 5]).mapScaled(.zeros([3]), .zeros([4]), plus: .zeros([1, 4, 5, 5]))
    }
  }
}

/// Products with packed weights against LibTorch's own.
@Suite struct PackedProductTests {
  private let activations = [FusedActivation.identity, .relu, .gelu, .geluTanh, .silu]

  private func activated(_ x: Tensor, _ activation: FusedActivation) -> Tensor {
    switch activation {
    case .identity: x
    case .relu: x.relu()
    case .gelu: x.gelu()
    case .geluTanh: x.gelu(.tanh)
    case .silu: x.silu()
    }
  }

  @Test(arguments: [[1, 3], [7, 3], [2, 5, 3], [1, 2, 3, 3], [200, 3]]) func linear(_ shape: [Int]) {
    let x = Tensor.filled(shape, key: "x", low: -3, high: 3, dtype: .float64)
    let weight = Tensor.filled([5, 3], key: "w", dtype: .float64)
    let bias = Tensor.filled([5], key: "b", dtype: .float64)
    for activation in activations {
      for bias in [nil, bias] {
        let expected = activated(x.linear(weight, bias: bias), activation)
        for (dtype, tolerance) in [(DType.float32, 1e-6), (.float64, 1e-15), (.bfloat16, 2e-2)] {
          let product = PackedLinear(weight.to(dtype), bias: bias?.to(dtype), activation: activation)
          expectClose(product(x.to(dtype)), expected, tolerance, "\(dtype) \(activation)")
        }
      }
    }
  }

  @Test(arguments: [(1, 1, 1), (3, 2, 1), (3, 1, 3), (5, 4, 6)])
  func convolution(_ kernel: Int, _ stride: Int, _ groups: Int) {
    let weight = Tensor.filled([12, 6 / groups, kernel, kernel], key: "w", dtype: .float64)
    let bias = Tensor.filled([12], key: "b", dtype: .float64)
    for activation in activations {
      for (dtype, tolerance) in [(DType.float32, 1e-6), (.float64, 1e-14)] {
        let convolution = PackedConvolution(
          weight.to(dtype), bias: bias.to(dtype), stride: stride, padding: kernel / 2, groups: groups,
          activation: activation)
        // Two sizes in turn: the packed weight must follow the size.
        for size in [[2, 6, 9, 11], [1, 6, 16, 8], [2, 6, 9, 11]] {
          let x = Tensor.filled(size, key: "x", low: -3, high: 3, dtype: .float64)
          let plain = x.conv2d(weight, bias: bias, stride: stride, padding: kernel / 2, groups: groups)
          expectClose(
            convolution(x.to(dtype)), activated(plain, activation), tolerance,
            "\(dtype) \(activation) \(size)")
        }
      }
    }
  }

  @Test func wrongWidthsAreASentence() {
    let product = PackedLinear(.zeros([5, 3]), bias: nil)
    let error = #expect(throws: TorchError.self) { try withTorchErrors { _ = product(.zeros([2, 4])) } }
    #expect(error?.message.contains("4") == true, "\(error?.message ?? "")")
  }
}
