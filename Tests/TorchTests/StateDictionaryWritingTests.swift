import Foundation
import TestSupport
import Testing

@testable import Torch

@Suite struct StateDictionaryWritingTests {
  private func rewritten(
    _ source: StateDictionary, as target: StateDictionary.Target, to url: URL
  ) throws -> StateDictionary {
    try StateDictionary.write(source.entries, as: target, to: url) { try source.tensor($0.key) }
    return try StateDictionary(contentsOf: url)
  }

  @Test(arguments: ["types.pth", "views.pth", "empty.pth", "old_types.pth", "training2.pth"])
  func nothingIsLostOnTheWayThereAndBack(_ name: String) throws {
    try inScratchFolder { folder in
      let original = try PyTorchFileTests.open(name)
      let (one, two) = (folder.appending(path: "one.safetensors"), folder.appending(path: "two.safetensors"))
      let first = try rewritten(original, as: .safeTensors(metadata: ["format": "pt"]), to: one)
      let archive = try rewritten(first, as: .pyTorch, to: folder.appending(path: "back.pth"))
      let second = try rewritten(archive, as: .safeTensors(metadata: ["format": "pt"]), to: two)
      #expect(first.entries == original.entries && archive.entries == original.entries)
      #expect(archive.format == .pyTorch && second.format == .safeTensors)
      for entry in original.entries {
        let (before, after) = (try original.tensor(entry.key).bytes(), try archive.tensor(entry.key).bytes())
        #expect(before == after, "\(entry.key)")
      }
      let (once, twice) = (try Data(contentsOf: one), try Data(contentsOf: two))
      #expect(once == twice)
    }
  }

  @Test func contentsLieAtMultiplesOf64() throws {
    try inScratchFolder { folder in
      let url = folder.appending(path: "w.pth")
      _ = try rewritten(PyTorchFileTests.open("views.pth"), as: .pyTorch, to: url)
      let bytes = [UInt8](try Data(contentsOf: url))
      let directory = try ZipDirectory(MemoryBytes(path: "w.pth", bytes: bytes))
      #expect(directory.firstName == "archive/data.pkl" && directory.entries.count == 14)
      #expect(
        directory.entries.values.allSatisfy { $0.range.lowerBound.isMultiple(of: 64) && !$0.isCompressed })
      #expect(directory.entries["archive/version"].map { Array(bytes[$0.range]) } == Array("3\n".utf8))
    }
  }

  @Test func theSameTensorsGiveTheSameBytes() throws {
    try inScratchFolder { folder in
      let urls = ["a.pth", "b.pth"].map { folder.appending(path: $0) }
      for url in urls { _ = try rewritten(PyTorchFileTests.open("types.pth"), as: .pyTorch, to: url) }
      let contents = try urls.map { try Data(contentsOf: $0) }
      #expect(contents[0] == contents[1])
    }
  }

  private struct Interruption: Error {}

  @Test(arguments: [StateDictionary.Target.pyTorch, .safeTensors(metadata: [:])])
  func anErrorMidwayLeavesNothing(_ target: StateDictionary.Target) throws {
    try inScratchFolder { folder in
      let entries = ["a", "b"].map { StateDictionary.Entry(key: $0, dtype: .float32, shape: [2]) }
      #expect(throws: Interruption.self) {
        try StateDictionary.write(entries, as: target, to: folder.appending(path: "w")) { entry in
          if entry.key == "b" { throw Interruption() }
          return Tensor([Float(1), 2])
        }
      }
      let left = try files(in: folder)
      #expect(left.isEmpty)
    }
  }

  @Test func keysMustDiffer() throws {
    try inScratchFolder { folder in
      let entry = StateDictionary.Entry(key: "a", dtype: .float32, shape: [1])
      let error = try #require(throws: CheckpointError.self) {
        try StateDictionary.write([entry, entry], as: .pyTorch, to: folder.appending(path: "w.pth")) { _ in
          Tensor([Float(1)])
        }
      }
      #expect(error.key == "a" && error.description.contains("under a key that is taken"))
      let left = try files(in: folder)
      #expect(left.isEmpty)
    }
  }

  /// An archive that would fill a disk: given pieces, zeros between them.
  private struct SparseBytes: ByteSource {
    let path = "sparse.pth"
    var count = 0
    var pieces: [(start: Int, bytes: [UInt8])] = []

    mutating func append(_ bytes: [UInt8]) {
      pieces.append((count, bytes))
      count += bytes.count
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws {
      buffer.initializeMemory(as: UInt8.self, repeating: 0)
      for (start, bytes) in pieces {
        let common =
          max(start, offset)..<max(max(start, offset), min(start + bytes.count, offset + buffer.count))
        for position in common { buffer[position - offset] = bytes[position - start] }
      }
    }
  }

  // Beyond 4 GiB an entry's size and place, and the directory's, need the wide records of zip64.
  @Test func archivesBeyondFourGibibytes() throws {
    let large = 5 << 30
    let entries = [
      StateDictionary.Entry(key: "large", dtype: .uint8, shape: [large]),
      .init(key: "w", dtype: .float32, shape: [4]),
    ]
    var (source, archive) = (SparseBytes(), ZipWriter())
    func begin(_ name: String, _ size: Int) {
      source.append(archive.begin("archive/\(name)", size: size, checksum: 0))
    }
    let pickle = PickleWriter(entries.map { ($0.key, $0.dtype, $0.shape) }).bytes
    begin("data.pkl", pickle.count)
    source.append(pickle)
    begin("data/0", large)
    source.count += large
    begin("data/1", HandMade.floats.count)
    source.append(HandMade.floats)
    #expect(archive.position == source.count)
    source.append(archive.end())

    let directory = try ZipDirectory(source)
    let range = try #require(directory.entries["archive/data/1"]).range
    #expect(range.lowerBound > large && range.lowerBound.isMultiple(of: 64))
    #expect(directory.entries["archive/data/0"]?.range.count == large)
    let file = try StateDictionary(source, selecting: nil)
    #expect(file.entries == entries)
    expectEqual(try file.tensor("w"), [1, 2, 3, 4], [4])
  }

  // 65 536 entries and more need the wide end record too.
  @Test func archivesOfManyEntries() throws {
    let names = (0..<70_000).map { "archive/data/\($0)" }
    let directory = try ZipDirectory(
      MemoryBytes(path: "many.pth", bytes: HandMade.archive(names.map { ($0, []) })))
    #expect(directory.entries.count == names.count)
  }
}
