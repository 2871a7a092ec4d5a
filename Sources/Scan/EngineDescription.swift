import Foundation
public import Torch

/// What computes the numbers of a run, and on what machine: for logs, reports and, in one line, for people.
public struct EngineDescription: Codable, Hashable, Sendable {
  /// The version of LibTorch.
  public let libtorch: String
  /// Where operators run: `cpu` or `cuda:0`.
  public let device: String
  /// The threads that operators on the CPU use.
  public let threads: Int
  /// The instruction set of LibTorch's own CPU kernels.
  public let capability: String
  /// The computation behind the scan operators.
  public let scanKernel: String
  /// What the compiled scan kernels are made for: an instruction set, or `cuda`; absent for the definition.
  public let scanCapability: String?
  /// The GPU; absent for a CPU.
  public let gpu: GPU?
  /// Whether float32 products on the GPU round their operands to TF32; absent for a CPU.
  public let tf32: Bool?
  /// The version of NVRTC, which compiles the GPU's kernels; absent for a CPU, or where it is missing.
  public let kernelCompiler: String?
  /// The machine.
  public let machine: Machine
  /// When it was so, as ISO 8601 in universal time.
  public let date: String

  /// What the current task computes with.
  ///
  /// - Parameter device: where its operators run.
  public init(device: Device = .cpu) {
    libtorch = Engine.version
    self.device = device.description
    threads = Engine.threadCount
    capability = Engine.cpuCapability
    let kernel = ScanKernel.current
    scanKernel = kernel.rawValue
    if case .cuda(let index) = device {
      scanCapability = kernel == .compiled ? "cuda" : nil
      (gpu, tf32, kernelCompiler) = (try? GPU(index), CUDA.allowsTF32, CUDA.compilerVersion)
    } else {
      scanCapability = kernel == .compiled ? Engine.scanCapability : nil
      (gpu, tf32, kernelCompiler) = (nil, nil, nil)
    }
    machine = .this
    date = Date.now.formatted(.iso8601)
  }

  /// The scan kernel with what it is made for: `compiled (avx2)`.
  public var scan: String { scanKernel + (scanCapability.map { " (\($0))" } ?? "") }

  /// The device: `cpu, 4 threads` or `cuda:0 (NVIDIA H200, TF32 off)`.
  public var place: String {
    guard device.hasPrefix("cuda") else { return "\(device), \(threads) threads" }
    return "\(device) (\(gpu.map { "\($0.name), " } ?? "")TF32 \(tf32 == true ? "on" : "off"))"
  }

  /// One line: engine, device and scan kernel.
  public var line: String { "LibTorch \(libtorch) on \(place); scan kernel: \(scan)" }
}

/// A computer, as its operating system describes it.
public struct Machine: Codable, Hashable, Sendable {
  /// The processor's name; its architecture where the system tells no name.
  public let processor: String
  /// The processors that are in use.
  public let cores: Int
  /// The instruction sets that matter to numerical kernels, by the system's names for them.
  public let instructionSets: [String]
  /// The memory in bytes.
  public let memoryBytes: Int
  /// The operating system.
  public let system: String

  /// The computer that this process runs on.
  public static let this = Machine()

  private init() {
    let facts = Self.facts()
    processor = facts.name ?? Self.architecture
    instructionSets = Self.known.filter(facts.flags.contains)
    cores = ProcessInfo.processInfo.activeProcessorCount
    memoryBytes = Int(clamping: ProcessInfo.processInfo.physicalMemory)
    system = ProcessInfo.processInfo.operatingSystemVersionString
  }

  private static let known = [
    "sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "amx_bf16",
    "asimd", "asimddp", "bf16", "sve", "sve2",
  ]

  private static var architecture: String {
    #if arch(x86_64)
      "x86-64"
    #elseif arch(arm64)
      "arm64"
    #else
      "unknown"
    #endif
  }

  #if os(Linux)
    private static func facts() -> (name: String?, flags: Set<String>) {
      let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
      func value(_ key: String) -> String? {
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix(key) }) else { return nil }
        return line.split(separator: ":", maxSplits: 1).dropFirst().first?
          .trimmingCharacters(in: .whitespaces)
      }
      let flags = value("flags") ?? value("Features") ?? ""
      return (value("model name"), Set(flags.split(separator: " ").map(String.init)))
    }
  #else
    private static func facts() -> (name: String?, flags: Set<String>) {
      var size = 0
      guard sysctlbyname("machdep.cpu.brand_string", nil, &size, nil, 0) == 0, size > 0 else {
        return (nil, [])
      }
      var name = [UInt8](repeating: 0, count: size)
      sysctlbyname("machdep.cpu.brand_string", &name, &size, nil, 0)
      return (String(decoding: name.prefix { $0 != 0 }, as: UTF8.self), [])
    }
  #endif
}
