import CCUDA
import Foundation
import Testing

/// The folder of LibTorch's libraries, beside which NVRTC lies.
private let libraryFolder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
  .deletingLastPathComponent().appending(path: ".libtorch/torch/lib").path(percentEncoded: false)

/// Whether NVRTC is there: the set-up puts it beside LibTorch on Linux.
let hasCompiler: Bool = {
  ccuda_set_library_folder(libraryFolder)
  return ccuda_compiler_version() != nil
}()

/// A program with what it is compiled with.
struct Program: CustomTestStringConvertible, Sendable {
  let name: String
  let macros: String
  var testDescription: String { "\(name) \(macros)" }

  /// Every program with every set of macros that it is used with.
  static let all = (0..<ccuda_program_count()).flatMap { index in
    let name = String(cString: ccuda_program_name(index))
    return (0..<ccuda_configuration_count(name)).compactMap { number in
      ccuda_configuration(name, number).map { Program(name: name, macros: String(cString: $0)) }
    }
  }
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

@Suite(.enabled(if: hasCompiler, "NVRTC is not beside this LibTorch"))
struct ProgramTests {
  /// No GPU is needed: what cannot be compiled for one of these shows here.
  @Test(arguments: Program.all, ["sm_80", "sm_90", "sm_100"])
  func everyProgramCompiles(program: Program, architecture: String) throws {
    let found = code(program.name, program.macros, architecture)
    switch found {
    case .success(let bytes):
      // An object file of the GPU's own kind.
      #expect(bytes.prefix(4) == Data([0x7F, 0x45, 0x4C, 0x46]))
    case .failure(let error): Issue.record("\(error.sentence)")
    }
  }

  @Test func everyProgramHasAConfiguration() {
    for index in 0..<ccuda_program_count() {
      let name = ccuda_program_name(index)
      #expect(ccuda_configuration_count(name) > 0, "\(String(cString: name))")
      #expect(ccuda_configuration(name, ccuda_configuration_count(name)) == nil)
    }
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

  @Test(.enabled(if: !Program.all.isEmpty)) func anErrorGivesTheLog() throws {
    let program = try #require(Program.all.first)
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
