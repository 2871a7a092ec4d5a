public import Torch

/// A compiled kernel in one size and type, to be compared with its definition.
public protocol KernelCheck {
  /// The kernel's name, such as `scan2d`.
  var kernel: String { get }
  /// The size, type and layout, with slashes between.
  var detail: String { get }
  /// The type of the kernel's maps.
  var dtype: DType { get }
  /// What the truth depends on; neighbours of one key share it.
  var truthKey: String { get }

  /// What should come out, in float64 on the CPU.
  func truth() -> [KernelOutput]
  /// What the kernel gives there, in the order of ``truth()``.
  func computed(on device: Device) -> [KernelOutput]
}

extension KernelCheck {
  /// The kernel with size, type and layout: `scan2d/14x14/n1/c12/float32/contiguous`.
  public var id: String { "\(kernel)/\(detail)" }
}

/// A result of a kernel, or a gradient of it.
public struct KernelOutput {
  /// What it is, for people.
  public let name: String
  /// The numbers.
  public let tensor: Tensor
  /// Whether it is a gradient, which collects more rounding than an output.
  public let isGradient: Bool

  /// A result of that name.
  public init(_ name: String, _ tensor: Tensor, isGradient: Bool = false) {
    (self.name, self.tensor, self.isGradient) = (name, tensor, isGradient)
  }
}

/// How far from the truth a kernel may be, relative to the largest magnitude.
///
/// The truth is computed from operands as the type rounds them, so what is left is the rounding of results and of sums.
public enum KernelTolerance {
  /// The tolerance of a result of a kernel whose maps have that type.
  public static func of(_ dtype: DType, isGradient: Bool) -> Double {
    switch dtype {
    case .float64: 1e-9
    case .float16: isGradient ? 5e-3 : 2e-3
    case .bfloat16: isGradient ? 3e-2 : 1.5e-2
    default: isGradient ? 1e-4 : 2e-5
    }
  }
}

/// The largest number of positions whose truth is the definition, step by step: beyond, its gradients take minutes and
/// gigabytes, and the CPU's kernel in float64, itself compared with the definition, stands in.
let longestDefinition = 1500

/// A map in a layout, as a leaf without gradients.
enum KernelLayout: String, CaseIterable, Sendable {
  case contiguous
  case channelsLast = "channels_last"
  /// Channels last, and the projections of a scan as a model on a GPU makes them: a row for each pixel and direction,
  /// filled up to whole 16 bytes.
  case paddedRows = "padded_rows"

  /// The layouts of any map.
  static let ofMaps = [contiguous, channelsLast]

  /// A copy of a sequence `[B, C, L]` or a map `[B, C, H, W]` in this order.
  func of(_ x: Tensor) -> Tensor {
    switch self {
    case .contiguous: x.contiguous()
    case .channelsLast, .paddedRows:
      x.rank == 4
        ? x.contiguous(.channelsLast) : x.transpose(1, x.rank - 1).contiguous().transpose(1, x.rank - 1)
    }
  }
}

/// Outputs and all gradients of a function of operands, for given gradients of the first output.
///
/// - Parameters:
///   - operands: the operands by name.
///   - probe: makes the first output's gradient of its sizes.
///   - function: from the operands to named outputs, the differentiated one first.
/// - Returns: the outputs, then a gradient for each operand.
func outputsAndGradients(
  of operands: [(name: String, tensor: Tensor)], probe: (Tensor) -> Tensor,
  _ function: ([Tensor]) -> [(name: String, tensor: Tensor)]
) -> [KernelOutput] {
  let leaves = operands.map { $0.tensor.detached().requiringGradient() }
  let outputs = function(leaves)
  guard let first = outputs.first?.tensor else { return [] }
  let found = gradients(of: [first], withRespectTo: leaves, seeds: [probe(first)])
  let results = outputs.map { KernelOutput($0.name, $0.tensor.detached()) }
  return results
    + zip(operands, found).map { operand, gradient in
      // A gradient that is missing shows as one that is no number.
      KernelOutput(
        "gradient by \(operand.name)", gradient ?? .full(operand.tensor.shape, .nan, dtype: .float64),
        isGradient: true)
    }
}

/// Reproducible operands: the values of a key, rounded to a type.
func operand(_ key: String, _ shape: [Int], _ low: Double, _ high: Double, _ dtype: DType) -> Tensor {
  .filled(shape, key: "kernel \(key) \(shape)", low: low, high: high, dtype: dtype)
}

/// The type in which a kernel takes parameters next to maps of a type.
func parameterType(beside dtype: DType) -> DType { dtype == .float64 ? .float64 : .float32 }
