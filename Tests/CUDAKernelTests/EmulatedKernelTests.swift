import CUDAEmulator
import Testing

/// The element types of the kernels, by the number of their macro ELEMENT.
enum KernelElement: Int32, CaseIterable, Sendable {
  case float32 = 0
  case float16 = 1
  case bfloat16 = 2
  case float64 = 3

  /// What outputs and gradients may differ by, relative to the largest value.
  var tolerance: Double {
    switch self {
    case .float64: 1e-11
    case .float32: 2e-5
    case .float16: 4e-3
    case .bfloat16: 2e-2
    }
  }
}

@Suite("CUDA kernels, run on the processor")
struct EmulatedKernelTests {
  private func expect(_ error: Double, _ element: KernelElement, _ label: String) {
    // Written so that NaN fails; a negative number means that the configuration is not among those compiled.
    #expect(error >= 0 && error <= element.tolerance, "\(label), \(element): \(error)")
  }

  @Test("the 2-D scan", arguments: KernelElement.allCases)
  func scan2D(_ element: KernelElement) {
    for (channels, height, width, state, rank, last) in [
      (8, 14, 14, 1, 6, 1), (16, 7, 7, 1, 12, 1), (5, 3, 9, 1, 3, 0), (12, 1, 1, 2, 4, 0),
      (6, 5, 11, 3, 2, 1),
    ] as [(Int32, Int32, Int32, Int32, Int32, Int32)] {
      expect(
        emulate_ss2d_forward(element.rawValue, 2, channels, height, width, state, rank, last), element,
        "\(channels)x\(height)x\(width) N\(state) R\(rank)")
    }
  }

  @Test("the gradients of the 2-D scan", arguments: KernelElement.allCases)
  func scan2DGradients(_ element: KernelElement) {
    for which in 0..<Int32(6) {
      for (channels, height, width, state, rank) in [(5, 3, 9, 1, 3), (12, 1, 1, 2, 4), (33, 9, 10, 1, 6)]
        as [(Int32, Int32, Int32, Int32, Int32)]
      {
        expect(
          emulate_ss2d_backward_general(
            element.rawValue, 2, channels, height, width, state, rank, which), element,
          "general, gradient \(which), \(channels)x\(height)x\(width) N\(state) R\(rank)")
      }
    }
  }

  @Test("the gradients of the 2-D scan of half-width maps", arguments: [KernelElement.float16, .bfloat16])
  func fastScan2DGradients(_ element: KernelElement) {
    for (channels, height, width, rank) in [(16, 7, 7, 6), (8, 14, 14, 12), (16, 5, 9, 2)]
      as [(Int32, Int32, Int32, Int32)]
    {
      for which in 0..<Int32(6) {
        expect(
          emulate_ss2d_backward(element.rawValue, 3, channels, height, width, rank, which), element,
          "gradient \(which), \(channels)x\(height)x\(width) R\(rank)")
      }
    }
  }

  @Test("the selective scan and its gradients", arguments: KernelElement.allCases)
  func selectiveScan(_ element: KernelElement) {
    for (channels, groups, state, length, options) in [(6, 2, 1, 37, 15), (5, 1, 16, 9, 3), (4, 4, 8, 1, 0)]
      as [(Int32, Int32, Int32, Int32, Int32)]
    {
      for which in 0..<Int32(10) {
        let isAbsent =
          (which == 7 && options & 2 == 0) || (which == 8 && options & 4 == 0)
          || (which == 9 && options & 8 == 0)
        if isAbsent { continue }
        expect(
          emulate_selective_scan(
            element.rawValue, 2, channels, groups, state, length, options, which), element,
          "value \(which), D\(channels) G\(groups) N\(state) L\(length), options \(options)")
      }
    }
  }

  @Test("depthwise convolution and its gradients", arguments: KernelElement.allCases)
  func depthwise(_ element: KernelElement) {
    for (channels, height, width, kernel, stride, padding, activation, addsInput) in [
      (16, 9, 8, 3, 1, 1, 2, 1), (8, 7, 7, 5, 1, 2, 4, 0), (6, 11, 5, 3, 2, 1, 0, 0),
      (3, 10, 10, 5, 4, 2, 2, 0),
      (8, 1, 1, 3, 1, 1, 0, 0),
    ] as [(Int32, Int32, Int32, Int32, Int32, Int32, Int32, Int32)] {
      for which in 0..<Int32(4) {
        expect(
          emulate_depthwise(
            element.rawValue, 2, channels, height, width, kernel, stride, padding, activation, addsInput,
            which), element,
          "value \(which), \(channels)x\(height)x\(width) k\(kernel) s\(stride) activation \(activation)")
      }
    }
  }

  @Test("norms, sums and joins", arguments: KernelElement.allCases)
  func passes(_ element: KernelElement) {
    for which in 0..<Int32(4) {
      expect(emulate_map_norm(element.rawValue, 3, 24, 7, 5, which), element, "norm, value \(which)")
      expect(emulate_scaled_sum(element.rawValue, 3, 24, 7, 5, which), element, "sum, value \(which)")
    }
    for (ordered, backward) in [(0, 0), (1, 0), (0, 1), (1, 1)] as [(Int32, Int32)] {
      expect(
        emulate_join(element.rawValue, 35, 12, ordered, backward), element,
        "join, ordered \(ordered), backward \(backward)")
    }
  }
}
