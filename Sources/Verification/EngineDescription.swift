import Scan
import Torch

/// What computes the numbers of a run.
public struct EngineDescription: Sendable, Encodable {
  /// The tensor library and its version.
  public let engine: String
  /// The instruction set of its CPU kernels.
  public let capability: String
  /// The threads that operators use.
  public let threads: Int
  /// The scan kernel and its instruction set.
  public let scan: String

  /// What the current task computes with.
  public init() {
    engine = "LibTorch \(Engine.version)"
    capability = Engine.cpuCapability
    threads = Engine.threadCount
    let kernel = ScanKernel.current
    scan = kernel == .compiled ? "compiled, \(Engine.scanCapability)" : kernel.rawValue
  }
}
