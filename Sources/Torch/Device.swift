import CTorch

/// Where a tensor's elements live and operators on it run.
public enum Device: Hashable, Sendable, CustomStringConvertible {
  /// The host's processors.
  case cpu
  /// The NVIDIA GPU of that index.
  case cuda(Int)
  /// Nowhere: tensors have a type and sizes but no elements, and operators compute sizes only.
  case meta

  var type: Int32 {
    switch self {
    case .cpu: 0
    case .cuda: 1
    case .meta: 14
    }
  }

  var index: Int32 {
    switch self {
    case .cpu, .meta: -1
    case .cuda(let index): Int32(index)
    }
  }

  init(type: Int32, index: Int32) {
    switch type {
    case 0: self = .cpu
    case 1: self = .cuda(Int(index))
    case 14: self = .meta
    default:
      fatalError("LibTorch's device type \(type) is not one that Ganglion knows (0: CPU, 1: CUDA, 14: meta)")
    }
  }

  /// Whether it is an NVIDIA GPU.
  public var isCUDA: Bool {
    if case .cuda = self { true } else { false }
  }

  /// `cpu`, `cuda:0` or `meta`.
  public var description: String {
    switch self {
    case .cpu: "cpu"
    case .cuda(let index): "cuda:\(index)"
    case .meta: "meta"
    }
  }
}

/// The order of a feature map's elements in memory.
public enum MemoryFormat: Int32, Sendable {
  /// Row-major over the dimensions as written: `[B, C, H, W]` has `W` innermost.
  case contiguous = 0
  /// `[B, C, H, W]` stored with `C` innermost.
  case channelsLast = 2
}

/// The engine behind every tensor.
public enum Engine {
  /// LibTorch's version, for example `2.11.0`.
  public static var version: String { String(cString: ct_version()) }

  /// The version this build was made for; C++ interfaces differ between versions.
  public static let expectedVersion = "2.11.0"

  /// The file that LibTorch was loaded from; empty if the system does not say.
  public static var libraryPath: String { String(cString: ct_library_path()) }

  /// The widest instruction set that LibTorch's own CPU kernels use here, for example `AVX2`.
  public static var cpuCapability: String { String(cString: ct_cpu_capability()) }

  /// The instruction set of the CPU scan kernels: `portable`, `avx2` or `avx512`.
  public static var scanCapability: String { String(cString: ct_scan_capability()) }

  /// Forces the instruction set of the CPU scan kernels that this thread starts, for tests and benchmarks; `nil`
  /// chooses by the processor.
  ///
  /// - Throws: ``TorchError`` when the processor or this build lacks it.
  public static func setScanCapability(_ name: String?) throws {
    if ct_set_scan_capability(name) != 0 { throw lastTorchError() }
  }

  /// Whether operators use reproducible kernels where LibTorch has them, and warn where it has none.
  ///
  /// One switch for the whole process. Fresh memory is then filled with NaN before use, which shows a kernel that
  /// leaves part of its output unwritten.
  public static var isDeterministic: Bool {
    get { ct_deterministic() }
    set { ct_set_deterministic(newValue) }
  }

  /// Threads that operators on the CPU use, whatever thread calls them.
  ///
  /// One setting for the whole process.
  public static var threadCount: Int {
    get { Int(ct_threads()) }
    set { ct_set_threads(Int32(newValue)) }
  }
}
