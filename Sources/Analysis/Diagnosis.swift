import Data
import Foundation
import Scan
import Torch

/// What this installation computes with, and whether it computes right.
public struct Diagnosis: Sendable, Encodable {
  /// One thing that was looked at.
  public struct Finding: Sendable, Encodable {
    /// What it is.
    public let name: String
    /// What was found.
    public let value: String
    /// What is wrong and what to do, if anything is.
    public let problem: String?
  }

  /// Everything that was looked at.
  public let findings: [Finding]

  /// Whether nothing is wrong.
  public var isHealthy: Bool { findings.allSatisfy { $0.problem == nil } }

  /// Looks at the engine, the devices, the scan kernels and the image libraries.
  public init() {
    let engine = EngineDescription()
    func plain(_ name: String, _ value: String) -> Finding { Finding(name: name, value: value, problem: nil) }
    var findings = [
      Self.version(engine), Self.library(),
      plain("processor", engine.machine.processor),
      plain("CPU instruction set", engine.capability),
      plain("threads", "\(engine.threads) on \(engine.machine.cores) processors"),
      plain("memory", Quantity.bytes(engine.machine.memoryBytes)),
      Self.scan(.cpu, [.float32]), Self.map(.cpu, [.float32]),
    ]
    findings += Self.gpus()
    findings.append(Self.images())
    self.findings = findings
  }

  private static func version(_ engine: EngineDescription) -> Finding {
    let isRight = engine.libtorch == Engine.expectedVersion
    return Finding(
      name: "LibTorch", value: engine.libtorch,
      problem: isRight
        ? nil
        : "expected \(Engine.expectedVersion), since C++ interfaces differ between versions: run `make setup` again"
    )
  }

  private static func library() -> Finding {
    let path = Engine.libraryPath
    return Finding(
      name: "loaded from", value: path.isEmpty ? "unknown" : path,
      problem: path.isEmpty ? "the system does not say where LibTorch was loaded from" : nil)
  }

  /// The GPUs and what is needed to compute on them.
  private static func gpus() -> [Finding] {
    guard CUDA.hasDriver else {
      return [Finding(name: "GPU", value: "none: there is no NVIDIA driver", problem: nil)]
    }
    if let problem = CUDA.problem {
      let name = (try? GPU(0))?.name ?? "cannot be used"
      return [Finding(name: "GPU", value: name, problem: problem)]
    }
    var findings = (0..<CUDA.deviceCount).map(gpu)
    let compiler = CUDA.compilerVersion
    findings.append(
      Finding(name: "NVRTC", value: compiler ?? "not present", problem: CUDA.compilerProblem))
    let folder = CUDA.kernelFolder
    findings.append(
      Finding(
        name: "kernel folder", value: folder.path,
        problem: folder.isWritable
          ? nil
          : "cannot be written, so that each process compiles anew: make it writable, or name another folder in "
            + "GANGLION_KERNEL_CACHE"))
    guard compiler != nil else { return findings }
    for index in 0..<CUDA.deviceCount {
      let types: [DType] = [.float32, .float16, .bfloat16]
      findings += [scan(.cuda(index), types), map(.cuda(index), types)]
    }
    let counts = CUDA.kernelCounts
    findings.append(
      Finding(
        name: "kernels", value: "\(counts.compiled) compiled now, \(counts.found) found in the folder",
        problem: nil))
    return findings
  }

  private static func gpu(_ index: Int) -> Finding {
    let name = "GPU \(index)"
    do {
      let gpu = try GPU(index)
      return Finding(
        name: name,
        value: "\(gpu.name), compute capability \(gpu.capability), \(Quantity.bytes(gpu.memoryBytes)), "
          + "CUDA \(gpu.driver) driver", problem: nil)
    } catch {
      return Finding(name: name, value: "cannot be used", problem: "\(error)")
    }
  }

  private static func filled(_ shape: [Int], _ name: String, _ low: Double, _ high: Double) -> Tensor {
    .filled(shape, key: "doctor \(name)", low: low, high: high)
  }

  /// The compiled scan against the definition, on numbers that everyone can make.
  private static func scan(_ device: Device, _ types: [DType]) -> Finding {
    compare("scan kernel", device, types) { kernel, dtype, device in
      func map(_ shape: [Int], _ name: String) -> Tensor {
        filled(shape, name, -1, 1).to(dtype).to(device: device, dtype: kernel == .naive ? .float64 : dtype)
      }
      func parameter(_ shape: [Int], _ name: String, _ low: Double, _ high: Double) -> Tensor {
        filled(shape, name, low, high).to(device: device, dtype: kernel == .naive ? .float64 : .float32)
      }
      let scan = SelectiveScan(
        u: map([1, 8, 33], "u"), delta: map([1, 8, 33], "delta"), a: parameter([8, 4], "a", -1, -0.1),
        b: map([1, 2, 4, 33], "b"), c: map([1, 2, 4, 33], "c"), d: parameter([8], "d", 0.5, 1.5),
        z: map([1, 8, 33], "z"), deltaBias: parameter([8], "bias", -1, 0), softplus: true)
      return scan(kernel).y
    }
  }

  private static func map(_ device: Device, _ types: [DType]) -> Finding {
    compare("2-D scan kernel", device, types) { kernel, dtype, device in
      let type: DType = kernel == .naive ? .float64 : .float32
      func parameter(_ shape: [Int], _ name: String, _ low: Double, _ high: Double) -> Tensor {
        filled(shape, name, low, high).to(device: device, dtype: type)
      }
      let scan = Scan2D(
        projection: parameter([4 * 5, 6, 1], "projection", -0.5, 0.5),
        deltaWeight: parameter([4, 6, 3], "weight", -0.5, 0.5), deltaBias: parameter([4, 6], "bias", -2, 0),
        logA: parameter([24, 1], "log a", 0, 1), skip: parameter([24], "skip", 0.5, 1.5))
      let x = filled([1, 6, 7, 5], "map", -1, 1).to(dtype)
      if kernel == .naive { return scan(x.to(.float64), kernel) }
      // A half-width map takes its projections in its own type, as a model does.
      let cast: DType? = dtype == .float32 ? nil : dtype
      return withAutocast(cast, on: device) { scan(x.to(device: device), kernel) }
    }
  }

  /// The largest error of a kernel relative to the largest number: rounding of the type, several times over.
  private static func tolerance(_ dtype: DType) -> Double {
    switch dtype {
    case .float16: 5e-3
    case .bfloat16: 4e-2
    default: 1e-5
    }
  }

  /// Compares a kernel on a device with the definition in float64 on the CPU.
  private static func compare(
    _ name: String, _ device: Device, _ types: [DType],
    _ run: (ScanKernel, DType, Device) -> Tensor
  ) -> Finding {
    let name = device == .cpu ? name : "\(name), \(device)"
    let value = EngineDescription(device: device).scan
    do {
      var errors: [String] = []
      for dtype in types {
        let error = try withTorchErrors {
          withoutGradients {
            let own = run(.compiled, dtype, device).to(device: .cpu, dtype: .float64)
            let definition = run(.naive, dtype, .cpu)
            return ((own - definition).abs().max() / definition.abs().max()).item()
          }
        }
        // Written so that NaN is a problem.
        guard error <= tolerance(dtype) else {
          return Finding(
            name: name, value: value,
            problem: "differs from the definition by \(error) in \(dtype): please report it, with this output"
          )
        }
        errors.append("\(dtype)")
      }
      let list = types.count > 1 ? " in " + errors.joined(separator: ", ") : ""
      return Finding(name: name, value: "\(value), agrees with the definition\(list)", problem: nil)
    } catch {
      return Finding(name: name, value: value, problem: "\(error)")
    }
  }

  /// A small picture through both codecs and back.
  private static func images() -> Finding {
    let (height, width) = (16, 24)
    let pixels = (0..<height * width).flatMap { index -> [UInt8] in
      [UInt8(index / width * 15), UInt8(index % width * 10), 90]
    }
    let picture = Image(height: height, width: width, pixels: pixels)
    let name = "image libraries"
    do {
      let png = try Image(decoding: picture.pngBytes(), name: "a picture of ganglion doctor")
      let jpeg = try Image(decoding: picture.jpegBytes(quality: 95), name: "a picture of ganglion doctor")
      let worst = zip(picture.pixels, jpeg.pixels).map { abs(Int($0) - Int($1)) }.max() ?? 0
      guard png == picture, jpeg.height == height, jpeg.width == width, worst <= 32 else {
        return Finding(
          name: name, value: "JPEG and PNG",
          problem: "a picture comes back changed: install libjpeg-turbo and libpng again")
      }
      return Finding(name: name, value: "JPEG and PNG, a picture comes back as it should", problem: nil)
    } catch {
      return Finding(name: name, value: "JPEG and PNG", problem: "\(error)")
    }
  }

  /// The findings for people.
  public var text: String {
    let width = findings.map(\.name.count).max() ?? 0
    var lines = findings.flatMap { finding in
      let name = finding.name.padding(toLength: width, withPad: " ", startingAt: 0)
      return ["\(finding.problem == nil ? "✓" : "✗")  \(name)  \(finding.value)"]
        + (finding.problem.map { ["   " + String(repeating: " ", count: width) + "  \($0)"] } ?? [])
    }
    let problems = findings.count { $0.problem != nil }
    lines += ["", problems == 0 ? "everything is as it should be" : "\(problems) problems"]
    return lines.joined(separator: "\n")
  }
}
