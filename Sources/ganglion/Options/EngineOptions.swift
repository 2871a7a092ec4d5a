import ArgumentParser
import Scan
import Torch

/// How the engine is to compute.
struct EngineOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Where operators run; auto is the first GPU, if one can be used, else the CPU.", valueName: "name"))
  var device = DeviceChoice.auto

  @Flag(name: .customLong("tf32"), help: "Let float32 products on a GPU round their operands to TF32.")
  var allowsTF32 = false

  @Option(help: ArgumentHelp("Threads that operators use; all cores by default.", valueName: "count"))
  var threads: Int?

  func validate() throws {
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads must be from 1 to 1024, got \(threads).")
    }
  }

  /// Finds the device and says, where a GPU is passed over, why.
  ///
  /// - Throws: `InputError` for a GPU that was asked for and that cannot be used.
  func resolveDevice() throws -> Device {
    let (device, note) = try device.resolve()
    if let note { say("the GPU is not used: \(note)") }
    if device != .cpu {
      CUDA.beforeCompiling { say("compiling CUDA kernels, once; they are kept in \(CUDA.kernelFolder.path)") }
    }
    if allowsTF32 {
      if device == .cpu { say("--tf32 has no effect on the CPU") } else { CUDA.allowsTF32 = true }
    }
    return device
  }

  /// Finds the device, applies the options and says in one line what will compute.
  ///
  /// - Parameters:
  ///   - recipe: the threads where the option is not given.
  ///   - form: what else is to be said of what computes on a device.
  /// - Returns: where operators are to run.
  /// - Throws: `InputError` for a GPU that was asked for and that cannot be used.
  func start(recipe: Int? = nil, form: (Device) -> String? = { _ in nil }) throws -> Device {
    let device = try resolveDevice()
    start(on: device, recipe: recipe, form: form(device))
    return device
  }

  /// The same on a device that was found before.
  func start(on device: Device, recipe: Int? = nil, form: String? = nil) {
    if let threads = threads ?? recipe { Engine.threadCount = threads }
    say(EngineDescription(device: device).line + (form.map { "; \($0)" } ?? ""))
  }
}
