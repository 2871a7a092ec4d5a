import CCUDA
import CUDALaunches
import Foundation
import Testing

private let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
  .deletingLastPathComponent()

/// The folder of LibTorch's libraries, beside which NVRTC lies.
private let libraryFolder = root.appending(path: ".libtorch/torch/lib").path(percentEncoded: false)

/// Where the tests keep what they have compiled.
private let kernelFolder = root.appending(path: ".build/kernels").path(percentEncoded: false)

/// Whether NVRTC is there: the set-up puts it beside LibTorch on Linux.
let hasCompiler: Bool = {
  ccuda_set_library_folder(libraryFolder)
  return ccuda_compiler_version() != nil
}()

/// A program with what it is compiled with.
struct Program: CustomTestStringConvertible, Hashable, Sendable {
  let name: String
  let macros: String
  var testDescription: String { "\(name) \(macros)" }

  /// What the launchers ask for on a GPU, each once.
  ///
  /// - Throws: the sentence of a launcher that failed.
  static func launched(on gpu: Architecture) throws -> [Program] {
    var programs: Set<Program> = []
    let problem = withUnsafeMutablePointer(to: &programs) { set in
      cuda_launches(
        gpu.multiprocessors, gpu.sharedBytes,
        { name, macros, set in
          let program = Program(name: String(cString: name), macros: String(cString: macros))
          set?.assumingMemoryBound(to: Set<Program>.self).pointee.insert(program)
        }, set)
    }
    if let problem { throw CompilerError(sentence: String(cString: problem)) }
    return programs.sorted { ($0.name, $0.macros) < ($1.name, $1.macros) }
  }

  /// A small one.
  static let some = (try? launched(on: .all[1]))?.filter { $0.name == "map" } ?? []
}

/// A generation of GPUs, by one of its members.
struct Architecture: CustomTestStringConvertible, Sendable {
  let name: String
  let multiprocessors: Int32
  /// The most shared memory of a block.
  let sharedBytes: Int32
  var testDescription: String { name }

  /// A100, H200 and B200.
  static let all = [
    Architecture(name: "sm_80", multiprocessors: 108, sharedBytes: 163 << 10),
    Architecture(name: "sm_90", multiprocessors: 132, sharedBytes: 227 << 10),
    Architecture(name: "sm_100", multiprocessors: 148, sharedBytes: 227 << 10),
  ]
}

/// Machine code, or the sentence of why there is none.
func code(_ program: String, _ macros: String, _ architecture: String, cached: Bool = false)
  -> Result<Data, CompilerError>
{
  var count = 0
  let make = cached ? ccuda_load_code : ccuda_compile
  guard let bytes = make(program, macros, architecture, &count) else {
    return .failure(CompilerError(sentence: String(cString: ccuda_last_error())))
  }
  return .success(Data(bytesNoCopy: bytes, count: count, deallocator: .free))
}

struct CompilerError: Error {
  let sentence: String
}

/// Where a process leaves the sentence of a program that cannot be compiled, with the compiler's log.
private func report(_ gpu: Architecture) -> URL { URL(filePath: kernelFolder + "-\(gpu.name).log") }

/// In a process of its own: compiles everything, or leaves a report and fails.
private func compileEverything(for gpu: Architecture) {
  precondition(hasCompiler)
  setenv("GANGLION_KERNEL_CACHE", kernelFolder, 1)
  do {
    for program in try Program.launched(on: gpu) {
      let bytes = try code(program.name, program.macros, gpu.name, cached: true).get()
      // An object file of the GPU's own kind.
      guard bytes.prefix(4) == Data([0x7F, 0x45, 0x4C, 0x46]) else {
        throw CompilerError(sentence: "\(program) is no object file")
      }
    }
  } catch {
    try? Data("\(error)".utf8).write(to: report(gpu))
    exit(EXIT_FAILURE)
  }
}

/// Tells what a process has left.
private func expectNoReport(_ gpu: Architecture) {
  defer { try? FileManager.default.removeItem(at: report(gpu)) }
  if let text = try? String(contentsOf: report(gpu), encoding: .utf8) { Issue.record("\(text)") }
}

@Suite(.enabled(if: hasCompiler, "NVRTC is not beside this LibTorch"))
struct ProgramTests {
  // No GPU is needed: what cannot be compiled for one of these shows here. Processes of their own, since NVRTC compiles one
  // program at a time, with a folder of kernels beside the build, so that only what has changed is compiled again.
  @Test func launchesCompileForAmpere() async {
    await #expect(processExitsWith: .success) { compileEverything(for: .all[0]) }
    expectNoReport(.all[0])
  }

  @Test func launchesCompileForHopper() async {
    await #expect(processExitsWith: .success) { compileEverything(for: .all[1]) }
    expectNoReport(.all[1])
  }

  @Test func launchesCompileForBlackwell() async {
    await #expect(processExitsWith: .success) { compileEverything(for: .all[2]) }
    expectNoReport(.all[2])
  }

  @Test func everyProgramIsLaunched() throws {
    let names = (0..<ccuda_program_count()).map { String(cString: ccuda_program_name($0)) }
    #expect(Set(try Program.launched(on: .all[1]).map(\.name)) == Set(names))
  }

  @Test func theCompilerIsTheOneOfTheSetUp() {
    #expect(ccuda_compiler_version().map { String(cString: $0) }?.hasPrefix("13.") == true)
  }

  @Test func anUnknownProgramIsASentence() {
    guard case .failure(let error) = code("nothing", "", "sm_90") else {
      Issue.record("a program that does not exist was compiled")
      return
    }
    #expect(error.sentence == "there is no CUDA program called nothing")
  }

  @Test func anErrorGivesTheLog() throws {
    let program = try #require(Program.some.first)
    guard case .failure(let error) = code(program.name, "\(program.macros) float=)", "sm_90") else {
      Issue.record("nonsense was compiled")
      return
    }
    #expect(error.sentence.contains("cannot compile \(program.name).cu for sm_90"))
    #expect(error.sentence.contains("error:"), "\(error.sentence)")
    guard case .failure(let other) = code(program.name, program.macros, "sm_1") else {
      Issue.record("an architecture that does not exist was compiled for")
      return
    }
    #expect(other.sentence.contains("sm_1"), "\(other.sentence)")
  }
}
