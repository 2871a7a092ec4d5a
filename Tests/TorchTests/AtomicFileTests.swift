import Foundation
import TestSupport
import Testing
import Torch

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

@Suite struct AtomicFileTests {
  @Test func replacesTheOldFileAtOnce() throws {
    try inScratchFolder { folder in
      let url = folder.appending(path: "file")
      try Data("old".utf8).write(to: url)
      try AtomicFile.write(to: url) { file in
        try file.append(Array("ne".utf8))
        #expect(try String(contentsOf: url, encoding: .utf8) == "old")
        try file.append(Array("w".utf8))
      }
      #expect(try String(contentsOf: url, encoding: .utf8) == "new")
      #expect(try files(in: folder) == ["file"])
    }
  }

  private struct Interruption: Error {}

  @Test func anErrorMidwayLeavesTheOldFileAlone() throws {
    try inScratchFolder { folder in
      let url = folder.appending(path: "file")
      try Data("old".utf8).write(to: url)
      #expect(throws: Interruption.self) {
        try AtomicFile.write(to: url) { file in
          try file.append(Array("half of the n".utf8))
          throw Interruption()
        }
      }
      #expect(try String(contentsOf: url, encoding: .utf8) == "old")
      #expect(try files(in: folder) == ["file"])
    }
  }

  @Test func aMissingFolderIsNamed() throws {
    try inScratchFolder { folder in
      let url = folder.appending(path: "none/file")
      let error = try #require(throws: CheckpointError.self) {
        try SafeTensors.write([("a", Tensor.ones([4]))], to: url)
      }
      #expect(error.path == url.path(percentEncoded: false))
      #expect(error.description.contains("No such file or directory"))
      #expect(error.description.contains("check that its folder exists"))
      #expect(try files(in: folder).isEmpty)
    }
  }

  @Test func devicesAndFoldersAreNotReplaced() throws {
    try inScratchFolder { folder in
      for url in [URL(filePath: "/dev/full"), folder] {
        let error = try #require(throws: CheckpointError.self) { try SafeTensors.write([], to: url) }
        #expect(error.description.contains("not a regular file"))
      }
      #expect(try files(in: folder).isEmpty)
    }
  }

  // A limit on the size of files stands in for a full disk; it holds for a process of its own.
  @Test func aFullDiskLeavesNothingBehind() async throws {
    await #expect(processExitsWith: .success) {
      try inScratchFolder { folder in
        let url = folder.appending(path: "large.safetensors")
        signal(SIGXFSZ, SIG_IGN)
        var limit = rlimit(rlim_cur: 100_000, rlim_max: 100_000)
        try #require(setrlimit(fileSizeLimit, &limit) == 0)
        let error = try #require(throws: CheckpointError.self) {
          try SafeTensors.write([("small", Tensor.ones([10])), ("large", Tensor.ones([50_000]))], to: url)
        }
        try #require(error.description.contains("cannot be written (File too large); free some space"))
        try #require(try files(in: folder).isEmpty)
      }
    }
  }
}

#if canImport(Glibc)
  private let fileSizeLimit = __rlimit_resource_t(RLIMIT_FSIZE.rawValue)
#else
  private let fileSizeLimit = RLIMIT_FSIZE
#endif
