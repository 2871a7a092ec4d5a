import ArgumentParser
import Torch

/// Where operators are to run, as a person says it.
enum DeviceChoice: Hashable, ExpressibleByArgument {
  /// The first GPU, if one can be used, else the CPU.
  case auto
  case cpu
  case gpu(Int)

  init?(argument: String) {
    let index = argument.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    switch argument {
    case "auto": self = .auto
    case "cpu": self = .cpu
    case "cuda": self = .gpu(0)
    default:
      guard index.count == 2, index[0] == "cuda", let number = Int(index[1]), (0..<128).contains(number)
      else {
        return nil
      }
      self = .gpu(number)
    }
  }

  static var allValueStrings: [String] { ["auto", "cpu", "cuda", "cuda:1"] }
  var defaultValueDescription: String {
    switch self {
    case .auto: "auto"
    case .cpu: "cpu"
    case .gpu(let index): "cuda:\(index)"
    }
  }

  /// The device, and why it is not a GPU, if there is a driver for one.
  ///
  /// - Throws: `InputError` for a GPU that was asked for and that cannot be used.
  func resolve() throws -> (device: Device, note: String?) {
    switch self {
    case .cpu: return (.cpu, nil)
    case .gpu(let index):
      try requireGPU(index)
      return (.cuda(index), nil)
    case .auto:
      guard CUDA.hasDriver else { return (.cpu, nil) }
      if let problem = CUDA.problem ?? CUDA.compilerProblem { return (.cpu, problem) }
      return (.cuda(0), nil)
    }
  }

  private func requireGPU(_ index: Int) throws {
    let count = CUDA.deviceCount
    guard index >= count else { return }
    let option = "--device \(defaultValueDescription)"
    if let problem = CUDA.problem {
      throw InputError(
        option, problem,
        remedy: (CUDA.hasDriver ? "" : "install NVIDIA's driver, ") + "or compute with --device cpu")
    }
    throw InputError(
      option, count == 1 ? "there is one GPU" : "there are \(count) GPUs",
      remedy: "give a number below \(count)")
  }
}
