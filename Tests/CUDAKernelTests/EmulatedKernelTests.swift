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

  static let half: [KernelElement] = [.float16, .bfloat16]
  static let wide: [KernelElement] = [.float32, .float64]
}

/// Sizes that the emulator has compiled kernels for.
@Suite("CUDA kernels, run on the processor")
struct EmulatedKernelTests {
  /// The sizes of a 2-D scan and the types that it is run in.
  struct Scan: CustomTestStringConvertible, Sendable {
    let channels: Int32
    let height: Int32
    let width: Int32
    var states: Int32 = 1
    let rank: Int32
    var channelsLast = true
    var elements = KernelElement.allCases
    var testDescription: String { "\(channels)x\(height)x\(width) N\(states) R\(rank)" }
  }

  private func expect(
    _ error: Double, _ element: KernelElement, _ label: String, tolerance: Double? = nil
  ) {
    // Written so that NaN fails; a negative number says that there is no such kernel.
    #expect(error >= 0 && error <= tolerance ?? element.tolerance, "\(label), \(element): \(error)")
  }

  @Test(
    "the 2-D scan",
    arguments: [
      Scan(channels: 8, height: 14, width: 14, rank: 6), Scan(channels: 16, height: 7, width: 7, rank: 6),
      Scan(channels: 8, height: 14, width: 14, rank: 20, elements: KernelElement.half),
      Scan(channels: 16, height: 9, width: 13, rank: 12, elements: [.bfloat16]),
      Scan(channels: 5, height: 3, width: 9, rank: 6, channelsLast: false),
      Scan(
        channels: 12, height: 1, width: 1, states: 3, rank: 19, channelsLast: false,
        elements: KernelElement.wide),
      Scan(
        channels: 6, height: 5, width: 11, states: 3, rank: 19, channelsLast: false,
        elements: KernelElement.wide),
    ])
  func scan2D(_ scan: Scan) {
    for element in scan.elements {
      let error = emulate_ss2d_forward(
        element.rawValue, 2, scan.channels, scan.height, scan.width, scan.states, scan.rank,
        scan.channelsLast ? 1 : 0)
      expect(error, element, scan.testDescription)
    }
  }

  @Test(
    "the gradients of the 2-D scan",
    arguments: [
      Scan(channels: 5, height: 3, width: 9, rank: 6), Scan(channels: 12, height: 1, width: 1, rank: 6),
      Scan(channels: 33, height: 9, width: 10, rank: 6),
      Scan(channels: 6, height: 5, width: 11, states: 3, rank: 19, elements: KernelElement.wide),
      Scan(channels: 5, height: 4, width: 3, states: 16, rank: 2, elements: [.float32]),
    ])
  func scan2DGradients(_ scan: Scan) {
    for element in scan.elements {
      for which in 0..<Int32(6) {
        let error = emulate_ss2d_backward_general(
          element.rawValue, 2, scan.channels, scan.height, scan.width, scan.states, scan.rank, which)
        expect(error, element, "\(scan.testDescription), gradient \(which)")
      }
    }
  }

  @Test(
    "the gradients of the 2-D scan of half-width maps",
    arguments: [
      Scan(channels: 8, height: 14, width: 14, rank: 20, elements: [.bfloat16]),
      Scan(channels: 16, height: 7, width: 7, rank: 12, elements: [.float16]),
      Scan(channels: 16, height: 7, width: 7, rank: 32, elements: [.float16]),
      Scan(channels: 16, height: 5, width: 9, rank: 12, elements: [.float16]),
    ])
  func halfWidthScan2DGradients(_ scan: Scan) {
    for element in scan.elements {
      for which in 0..<Int32(6) {
        let error = emulate_ss2d_backward(
          element.rawValue, 3, scan.channels, scan.height, scan.width, scan.rank, which)
        expect(error, element, "\(scan.testDescription), gradient \(which)")
      }
    }
  }

  @Test("the selective scan and its gradients", arguments: KernelElement.allCases)
  func selectiveScan(_ element: KernelElement) {
    for (channels, groups, states, length, options) in [
      (6, 2, 1, 37, 15), (5, 1, 16, 9, 3), (4, 4, 3, 1, 0),
    ]
      as [(Int32, Int32, Int32, Int32, Int32)]
    {
      for which in 0..<Int32(10) {
        // D, z and the bias of the time step are optional.
        if which >= 7 && options & (2 << (which - 7)) == 0 { continue }
        let error = emulate_selective_scan(
          element.rawValue, 2, channels, groups, states, length, options, which)
        expect(
          error, element,
          "D\(channels) G\(groups) N\(states) L\(length), options \(options), value \(which)")
      }
    }
  }

  /// A depthwise convolution and the types that it is run in.
  struct Convolution: CustomTestStringConvertible, Sendable {
    let channels: Int32
    let height: Int32
    let width: Int32
    let window: Int32
    var stride: Int32 = 1
    var activation: Int32 = 0
    var addsInput = false
    let elements: [KernelElement]
    /// Of output, gradient of x, of the weight and of the bias.
    var values = 0..<Int32(4)
    var testDescription: String { "\(channels)x\(height)x\(width), window \(window), stride \(stride)" }
  }

  @Test(
    "depthwise convolution and its gradients",
    arguments: [
      Convolution(
        channels: 16, height: 9, width: 8, window: 3, activation: 2, addsInput: true,
        elements: [.float32, .bfloat16, .float64]),
      Convolution(
        channels: 16, height: 9, width: 8, window: 3, elements: [.float32, .bfloat16, .float64]),
      Convolution(
        channels: 8, height: 7, width: 7, window: 5, activation: 4, elements: [.float16], values: 0..<2),
      Convolution(channels: 6, height: 11, width: 5, window: 3, stride: 2, elements: [.float32]),
      Convolution(
        channels: 8, height: 9, width: 9, window: 7, addsInput: true, elements: [.bfloat16, .float64]),
      Convolution(
        channels: 3, height: 9, width: 9, window: 3, activation: 2, addsInput: true, elements: [.float64]),
    ])
  func depthwise(_ convolution: Convolution) {
    let c = convolution
    for element in c.elements {
      for which in c.values {
        let error = emulate_depthwise(
          element.rawValue, 2, c.channels, c.height, c.width, c.window, c.stride, c.window / 2, c.activation,
          c.addsInput ? 1 : 0, which)
        expect(error, element, "\(c.testDescription), value \(which)")
      }
    }
  }

  @Test("norms, sums and joins", arguments: KernelElement.allCases)
  func passes(_ element: KernelElement) {
    // In float32 the map's mean is 300 and its deviation 0.58: half a unit of the mean's last place is 2.6e-5 deviations.
    let norm = element == .float32 ? 3e-5 : element.tolerance
    for which in 0..<Int32(4) {
      for channels in [8, 24, 32] as [Int32] {
        expect(
          emulate_map_norm(element.rawValue, 3, channels, 7, 5, which), element, "norm, value \(which)",
          tolerance: norm)
        expect(
          emulate_scaled_sum(element.rawValue, 3, channels, 7, 5, which), element, "sum, value \(which)")
      }
    }
    for (ordered, backward) in [(0, 0), (1, 0), (0, 1), (1, 1)] as [(Int32, Int32)] {
      expect(
        emulate_join(element.rawValue, 35, 16, ordered, backward), element,
        "join, ordered \(ordered), backward \(backward)")
    }
  }
}
