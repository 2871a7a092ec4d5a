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
    findings = [
      Self.version(engine), Self.library(),
      plain("processor", engine.machine.processor),
      plain("CPU instruction set", engine.capability),
      plain("threads", "\(engine.threads) on \(engine.machine.cores) processors"),
      plain("memory", Quantity.bytes(engine.machine.memoryBytes)),
      plain("device", engine.device),
      Self.driver(),
      Self.scan(engine), Self.map(engine), Self.images(),
    ]
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

  private static func driver() -> Finding {
    let hasDriver = FileManager.default.fileExists(atPath: "/proc/driver/nvidia/version")
    return Finding(
      name: "NVIDIA driver",
      value: hasDriver
        ? "present; this build has no CUDA kernels yet, so the GPU is not used" : "not present",
      problem: nil)
  }

  /// The compiled scan against the definition, on numbers that everyone can make.
  private static func scan(_ engine: EngineDescription) -> Finding {
    func filled(_ shape: [Int], _ name: String, _ low: Double, _ high: Double) -> Tensor {
      .filled(shape, key: "doctor \(name)", low: low, high: high)
    }
    let scan = SelectiveScan(
      u: filled([1, 8, 33], "u", -1, 1), delta: filled([1, 8, 33], "delta", -1, 1),
      a: filled([8, 4], "a", -1, -0.1), b: filled([1, 2, 4, 33], "b", -1, 1),
      c: filled([1, 2, 4, 33], "c", -1, 1),
      d: filled([8], "d", 0.5, 1.5), z: filled([1, 8, 33], "z", -1, 1), deltaBias: filled([8], "bias", -1, 0),
      softplus: true)
    return compare("scan kernel", engine) { scan($0).y }
  }

  private static func map(_ engine: EngineDescription) -> Finding {
    func filled(_ shape: [Int], _ name: String, _ low: Double, _ high: Double) -> Tensor {
      .filled(shape, key: "doctor \(name)", low: low, high: high)
    }
    let scan = Scan2D(
      projection: filled([4 * 5, 6, 1], "projection", -0.5, 0.5),
      deltaWeight: filled([4, 6, 3], "weight", -0.5, 0.5), deltaBias: filled([4, 6], "bias", -2, 0),
      logA: filled([24, 1], "log a", 0, 1), skip: filled([24], "skip", 0.5, 1.5))
    let x = filled([1, 6, 7, 5], "map", -1, 1)
    return compare("2-D scan kernel", engine) { scan(x, $0) }
  }

  private static func compare(
    _ name: String, _ engine: EngineDescription, _ run: (ScanKernel) -> Tensor
  ) -> Finding {
    let tolerance = 1e-5
    let value = engine.scan
    do {
      let error = try withTorchErrors {
        let (own, definition) = (run(.compiled), run(.naive))
        return ((own - definition).abs().max() / definition.abs().max()).item()
      }
      // Written so that NaN is a problem.
      if error <= tolerance {
        return Finding(name: name, value: "\(value), agrees with the definition", problem: nil)
      }
      return Finding(
        name: name, value: value,
        problem: "differs from the definition by \(error): please report it, with this output")
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
