import CCUDA
import CTorch

/// NVIDIA GPUs, which are looked for when they are first asked for.
public enum CUDA {
  /// Whether NVIDIA's driver is installed, which does not say that a GPU can be used.
  public static var hasDriver: Bool { ccuda_has_driver() }

  /// The GPUs that can be used.
  public static var deviceCount: Int { Int(ct_cuda_count()) }

  /// Why there is no GPU to use, as a sentence without its end; `nil` if there is one.
  public static var problem: String? {
    ct_cuda_count() > 0 ? nil : String(cString: ct_last_error())
  }

  /// The version of NVRTC, which compiles our kernels at run time; `nil` if it is not there.
  public static var compilerVersion: String? { ccuda_compiler_version().map { String(cString: $0) } }

  /// Why there is no compiler.
  public static var compilerProblem: String? {
    ccuda_compiler_version() == nil ? String(cString: ccuda_last_error()) : nil
  }

  /// The folder that compiled kernels are kept in, and whether it can be written.
  public static var kernelFolder: (path: String, isWritable: Bool) {
    (String(cString: ccuda_cache_folder()), ccuda_cache_is_writable())
  }

  /// The kernels that this process has compiled, and those that it has found in the folder.
  public static var kernelCounts: (compiled: Int, found: Int) {
    var (compiled, found): (Int64, Int64) = (0, 0)
    ccuda_cache_counts(&compiled, &found)
    return (Int(compiled), Int(found))
  }

  /// Calls `notice` before this process compiles its first kernel, which takes about half a second each; kernels that the
  /// folder holds need none.
  public static func beforeCompiling(_ notice: @convention(c) () -> Void) { ccuda_before_compiling(notice) }

  /// Whether float32 products and convolutions may round their operands to TF32; off unless it is turned on.
  public static var allowsTF32: Bool {
    get { ct_tf32() }
    set { ct_set_tf32(newValue) }
  }

  /// Whether cuDNN tries its algorithms once for each shape of a convolution and keeps the fastest.
  public static func searchConvolutions(_ value: Bool) { ct_set_convolution_search(value) }
}

/// Facts about a GPU, as its driver tells them.
public struct GPU: Codable, Hashable, Sendable {
  /// The product's name.
  public let name: String
  /// The compute capability, such as `9.0`.
  public let capability: String
  /// The number of multiprocessors.
  public let multiprocessors: Int
  /// The highest clock of the multiprocessors in MHz.
  public let clockMegahertz: Int
  /// The memory in bytes.
  public let memoryBytes: Int
  /// The second-level cache in bytes.
  public let cacheBytes: Int
  /// The CUDA version of the driver, such as `13.0`.
  public let driver: String

  /// The GPU of that index.
  ///
  /// - Throws: ``TorchError`` if the driver does not know it.
  public init(_ index: Int) throws {
    var facts = ccuda_device()
    guard ccuda_describe(Int32(index), &facts) == 0 else {
      throw TorchError(String(cString: ccuda_last_error()))
    }
    name = withUnsafeBytes(of: facts.name) {
      String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
    }
    capability = "\(facts.major).\(facts.minor)"
    multiprocessors = Int(facts.multiprocessors)
    clockMegahertz = Int(facts.clock_kilohertz) / 1000
    memoryBytes = Int(facts.memory_bytes)
    cacheBytes = Int(facts.l2_bytes)
    driver = "\(facts.driver / 1000).\(facts.driver % 1000 / 10)"
  }
}

/// The memory of a GPU that a process uses, in bytes.
public struct GPUMemory: Codable, Hashable, Sendable {
  /// What tensors take.
  public let allocated: Int
  /// The most that tensors have taken since the last ``Device/resetPeakMemory()``.
  public let peakAllocated: Int
  /// What LibTorch has taken from the GPU, to give to tensors.
  public let reserved: Int
  /// The most that it has taken.
  public let peakReserved: Int
}

extension Device {
  /// Waits until everything that was started on the device is done; at once on a CPU.
  public func synchronize() {
    guard case .cuda(let index) = self else { return }
    requireSuccess(ct_cuda_synchronize(Int32(index)), "synchronize \(self)")
  }

  /// The device's memory that tensors use; `nil` for a CPU, where the operating system knows.
  public var memory: GPUMemory? {
    guard case .cuda(let index) = self else { return nil }
    var memory = ct_memory()
    requireSuccess(ct_cuda_memory(Int32(index), &memory), "memory of \(self)")
    return GPUMemory(
      allocated: Int(memory.allocated), peakAllocated: Int(memory.peak_allocated),
      reserved: Int(memory.reserved), peakReserved: Int(memory.peak_reserved))
  }

  /// Lets the peaks of ``memory`` start again from what is used now.
  public func resetPeakMemory() {
    guard case .cuda(let index) = self else { return }
    requireSuccess(ct_cuda_reset_peak(Int32(index)), "memory of \(self)")
  }

  /// Gives back to the GPUs what no tensor uses.
  public static func releaseUnusedMemory() { requireSuccess(ct_cuda_empty_cache(), "releaseUnusedMemory") }
}

/// A moment on the current stream of a GPU, for measuring what lies between two.
public final class DeviceMoment {
  private let pointer: OpaquePointer

  /// The moment at which everything started so far is done.
  ///
  /// - Parameter device: a GPU.
  public init(on device: Device) {
    guard case .cuda(let index) = device, let pointer = ct_event_create() else {
      fatalError("a moment on \(device): \(String(cString: ct_last_error()))")
    }
    self.pointer = pointer
    requireSuccess(ct_event_record(pointer, Int32(index)), "a moment on \(device)")
  }

  deinit { ct_event_release(pointer) }

  /// The seconds from an earlier moment to this one; waits for this one.
  public func seconds(since earlier: DeviceMoment) -> Double {
    var milliseconds = Double.nan
    requireSuccess(ct_event_milliseconds(earlier.pointer, pointer, &milliseconds), "time between moments")
    return milliseconds / 1000
  }
}

/// Operators on a GPU recorded once, to be started again as a whole: no time is lost between them.
///
/// The operators read and write the same memory each time, so inputs are copied into the tensors that were recorded, and
/// results read from those. Sizes must not change.
public final class CUDAGraph {
  private let pointer: OpaquePointer

  /// Records what `body` starts on `device`.
  ///
  /// `body` must have run before outside, so that kernels are compiled and libraries have their workspaces, and must not
  /// wait for the device.
  public init(on device: Device, recording body: () -> Void) {
    guard case .cuda(let index) = device, let pointer = ct_graph_create(Int32(index)) else {
      fatalError("a graph on \(device): \(String(cString: ct_last_error()))")
    }
    self.pointer = pointer
    requireSuccess(ct_graph_begin(pointer), "recording a graph")
    body()
    // Ends the recording even where an operator failed, or the device would stay in it.
    let status = ct_graph_end(pointer)
    require(status == 0, "recording a graph: \(String(cString: ct_last_error()))")
  }

  deinit { ct_graph_release(pointer) }

  /// Starts everything recorded, on the current stream.
  public func replay() { requireSuccess(ct_graph_replay(pointer), "replaying a graph") }
}
