import CCUDA
import Foundation
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// The folder of kernels, in processes of their own: it is named by the environment.
@Suite(.enabled(if: hasCompiler, "NVRTC is not beside this LibTorch"))
struct CacheTests {
  /// A folder that the test and the processes it starts know by its name.
  private static func folder(_ name: String, of process: Int32) -> URL {
    FileManager.default.temporaryDirectory.appending(path: "ganglion-kernels-\(process)-\(name)")
  }

  /// In a process that a test started: uses that test's folder.
  private static func enter(_ name: String) -> URL {
    let folder = folder(name, of: getppid())
    setenv("GANGLION_KERNEL_CACHE", folder.path(percentEncoded: false), 1)
    precondition(hasCompiler)
    return folder
  }

  private static func load(_ program: Program) -> Data {
    switch code(program.name, program.macros, "sm_90", cached: true) {
    case .success(let bytes): return bytes
    case .failure(let error): fatalError(error.sentence)
    }
  }

  // Of a process that has one thread.
  nonisolated(unsafe) private static var notices = 0

  private static var counts: [Int64] {
    var (compiled, found): (Int64, Int64) = (0, 0)
    ccuda_cache_counts(&compiled, &found)
    return [compiled, found]
  }

  private static func files(_ folder: URL) -> [String] {
    (try? FileManager.default.contentsOfDirectory(atPath: folder.path(percentEncoded: false))) ?? []
  }

  @Test func aKernelIsCompiledOnceAndFoundAfterwards() async throws {
    let folder = Self.folder("once", of: getpid())
    defer { try? FileManager.default.removeItem(at: folder) }
    await #expect(processExitsWith: .success) {
      let folder = CacheTests.enter("once")
      ccuda_before_compiling { CacheTests.notices += 1 }
      let first = CacheTests.load(Program.some[0])
      precondition(CacheTests.counts == [1, 0] && CacheTests.notices == 1)
      precondition(CacheTests.load(Program.some[0]) == first && CacheTests.counts == [1, 1])
      precondition(CacheTests.files(folder).count == 1)
    }
    await #expect(processExitsWith: .success) {
      _ = CacheTests.enter("once")
      ccuda_before_compiling { CacheTests.notices += 1 }
      _ = CacheTests.load(Program.some[0])
      precondition(CacheTests.counts == [0, 1] && CacheTests.notices == 0)
    }
    #expect(Self.files(folder).allSatisfy { $0.hasSuffix(".kernel") })
  }

  @Test func processesShareAFolder() async throws {
    let folder = Self.folder("shared", of: getpid())
    defer { try? FileManager.default.removeItem(at: folder) }
    @Sendable func fill() async {
      await #expect(processExitsWith: .success) {
        _ = CacheTests.enter("shared")
        for _ in 0..<2 {
          for program in Program.some.prefix(2) { _ = CacheTests.load(program) }
        }
      }
    }
    async let one: Void = fill()
    async let two: Void = fill()
    _ = await (one, two)
    let files = Self.files(folder)
    #expect(
      files.count == min(2, Program.some.count) && files.allSatisfy { $0.hasSuffix(".kernel") }, "\(files)")
  }

  @Test func aDamagedFileIsWrittenAnew() async throws {
    let folder = Self.folder("damaged", of: getpid())
    defer { try? FileManager.default.removeItem(at: folder) }
    await #expect(processExitsWith: .success) {
      let folder = CacheTests.enter("damaged")
      let whole = CacheTests.load(Program.some[0])
      let file = folder.appending(path: CacheTests.files(folder)[0])
      var bytes = (try? Data(contentsOf: file)) ?? Data()
      bytes[bytes.count / 2] ^= 1
      for damaged in [bytes, bytes.prefix(bytes.count / 2), bytes.prefix(7), Data()] {
        try damaged.write(to: file)
        precondition(CacheTests.load(Program.some[0]) == whole)
      }
      precondition(CacheTests.counts == [5, 0])
      precondition(CacheTests.load(Program.some[0]) == whole && CacheTests.counts == [5, 1])
    }
  }

  /// A file is where the folder should be, which stops even those who may write everywhere.
  @Test func withoutAFolderKernelsAreCompiledEachTime() async throws {
    let folder = Self.folder("none", of: getpid())
    try Data("a file".utf8).write(to: folder)
    defer { try? FileManager.default.removeItem(at: folder) }
    await #expect(processExitsWith: .success) {
      _ = CacheTests.enter("none")
      precondition(!ccuda_cache_is_writable())
      let first = CacheTests.load(Program.some[0])
      precondition(CacheTests.load(Program.some[0]) == first && CacheTests.counts == [2, 0])
    }
    #expect(try String(contentsOf: folder, encoding: .utf8) == "a file")
  }
}
