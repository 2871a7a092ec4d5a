import Foundation
import TestSupport
import Testing

@testable import Torch

/// Files that mean harm, or are broken.
@Suite struct PyTorchFileHostileTests {
  @Test func theHandMadeFileIsSound() throws {
    expectEqual(try HandMade.read(HandMade.archive(HandMade.pickle())), [1, 2, 3, 4], [4])
  }

  struct Shape: Sendable {
    var count = 4
    var offset = 0
    var shape = [4]
    var strides = [1]
    let says: String
  }

  @Test(arguments: [
    Shape(offset: 1, says: "reaches outside of its storage"),
    Shape(offset: -1, says: "negative"),
    Shape(shape: [2, 2], strides: [3, 1], says: "reaches outside of its storage"),
    Shape(shape: [4], strides: [-1], says: "negative"),
    Shape(shape: [-4], says: "negative"),
    Shape(shape: [2, 2], strides: [1], says: "has 2 sizes and 1 strides"),
    Shape(shape: [1 << 40, 1 << 40], strides: [0, 0], says: "too large to count"),
    Shape(shape: [2], strides: [.max], says: "too large to count"),
    Shape(shape: [3], strides: [1 << 62], says: "too large to count"),
    Shape(offset: .max, shape: [2], says: "too large to count"),
    Shape(offset: .max - 1, shape: [1], says: "reaches outside of its storage"),
    Shape(shape: [.max, 4, 0], strides: [0, 0, 0], says: "too large to count"),
    Shape(
      shape: Array(repeating: 1, count: 65), strides: Array(repeating: 1, count: 65), says: "65 dimensions"),
    Shape(count: 5, says: "has 16 bytes, expected 20"),
    Shape(count: -1, says: "in an unknown way"),
    Shape(count: 1 << 62, says: "too large to count"),
  ]) func shapesThatDoNotFitAreRefused(_ shape: Shape) throws {
    let pickle = HandMade.pickle(
      count: shape.count, offset: shape.offset, shape: shape.shape, strides: shape.strides)
    let error = try #require(throws: CheckpointError.self) { try HandMade.read(HandMade.archive(pickle)) }
    #expect(error.description.contains(shape.says), "\(error)")
  }

  @Test func aStrideWithoutASecondElementIsNeverTaken() throws {
    let pickle = HandMade.pickle(offset: 1, shape: [2, 1, 2], strides: [1, .max, 1])
    expectEqual(try HandMade.read(HandMade.archive(pickle)), [2, 3, 3, 4], [2, 1, 2])
  }

  // 16 times the file's bytes, or 1 MiB, is what all tensors together may hold.
  @Test func aFewElementsCannotBecomeEndlessOnes() throws {
    let allowed = HandMade.pickle(shape: [4, 1 << 16], strides: [1, 0])
    #expect(try HandMade.read(HandMade.archive(allowed)).count == 1 << 18)
    for shape in [[4, 1 << 16, 2], [1_000_000, 1_000_000], [1 << 30, 1 << 30]] {
      let strides = [1] + Array(repeating: 0, count: shape.count - 1)
      let pickle = HandMade.pickle(
        shape: shape[0] > 4 ? shape : shape, strides: shape[0] > 4 ? [0, 0] : strides)
      let error = try #require(throws: CheckpointError.self) { try HandMade.read(HandMade.archive(pickle)) }
      #expect(error.description.contains("larger than 16 times the file"), "\(error)")
    }
  }

  @Test func manyExpandedTensorsCountTogether() throws {
    let tensors = (0..<3).flatMap {
      HandMade.text("w\($0)") + HandMade.tensor(shape: [4, 1 << 15], strides: [1, 0])
    }
    let pickle = [0x80, 2] + Array("}(".utf8) + tensors + Array("u.".utf8)
    let error = try #require(throws: CheckpointError.self) { try HandMade.read(HandMade.archive(pickle)) }
    #expect(error.key == "w2")
  }

  @Test func nothingIsEverCalled() throws {
    let marker = FileManager.default.temporaryDirectory.appending(path: "ganglion-\(UUID().uuidString)")
    let command = "touch \(marker.path(percentEncoded: false))"
    let call = HandMade.global("os", "system") + HandMade.text(command) + [0x85, UInt8(ascii: "R")]
    let values = try HandMade.values([0x80, 2] + call + Array(".".utf8))
    guard case .record(let record) = values[values.root] else {
      Issue.record("expected a record, got \(values.kind(values.root))")
      return
    }
    #expect(record.name == "os.system")
    expectEqual(
      try HandMade.read(HandMade.archive(HandMade.pickle(before: call + Array("0".utf8)))), [1, 2, 3, 4], [4])
    #expect(!FileManager.default.fileExists(atPath: marker.path(percentEncoded: false)))
  }

  @Test func deepNestingAndCyclesNeedNoStack() throws {
    let depth = 300_000
    let nested =
      Array(repeating: UInt8(ascii: "]"), count: depth)
      + Array(repeating: UInt8(ascii: "a"), count: depth - 1)
    var values = try HandMade.values([0x80, 2] + nested + Array(".".utf8))
    #expect(values.kind(values.root) == "list of 1")
    let tuples = [0x29] + Array(repeating: 0x85, count: depth) as [UInt8]
    values = try HandMade.values([0x80, 2] + tuples + Array(".".utf8))
    #expect(values.kind(values.root) == "tuple of 1")
    // A dictionary that holds itself, and the weights.
    let cycle =
      [0x80, 2] + Array("}q\u{0}".utf8) + HandMade.text("self") + Array("h\u{0}s".utf8) + HandMade.text("w")
      + HandMade.tensor() + Array("s.".utf8)
    expectEqual(try HandMade.read(HandMade.archive(cycle)), [1, 2, 3, 4], [4])
    expectEqual(try HandMade.read(HandMade.archive(cycle), selecting: "self.self.self"), [1, 2, 3, 4], [4])
    let error = try #require(throws: CheckpointError.self) {
      try HandMade.read(HandMade.archive(cycle), selecting: "self.none")
    }
    #expect(error.description.contains("holds no dictionary 'self.none'"))
  }

  // Where every addition copied what is there already, these would take hours.
  @Test(arguments: [
    ("]", "Na", "list of 500000"), ("}", "NNs", "dictionary of 500000"), ("]", "(Ne", "list of 500000"),
    ("cmine\nMapping\n)R", "NNs", "object of mine.Mapping"),
  ]) func collectionsGrowInPlace(_ start: String, _ addition: String, _ kind: String) throws {
    let additions = repeatElement(Array(addition.utf8), count: 500_000).joined()
    let values = try HandMade.values([0x80, 2] + Array(start.utf8) + additions + Array(".".utf8))
    #expect(values.kind(values.root) == kind)
  }

  // Found in a search for the most memory a byte can ask for: one long name, recalled again and again.
  @Test func namesArePaidForByTheirLength() throws {
    let name = String(repeating: "a", count: 990)
    let start = [0x80, 2] + HandMade.text(name) + [0x71, 0] + HandMade.text("") + [0x71, 1]
    let recalls = repeatElement([0x68, 1, 0x68, 0, 0x93, 0x30] as [UInt8], count: 20_000).joined()
    let error = try #require(throws: CheckpointError.self) {
      try HandMade.values(start + recalls + Array("N.".utf8))
    }
    #expect(error.description.contains("makes more values than a file of its size should"))
  }

  @Test func sharingIsNotMultiplied() throws {
    // Forty lists, each of twice the list before: 2^40 elements if they were copied.
    var laughs: [UInt8] = [0x80, 2] + Array("]q\u{0}".utf8)
    for level in 0..<40 as Range<UInt8> {
      laughs += Array("](".utf8) + [0x68, level, 0x68, level, 0x65, 0x71, level + 1]
    }
    #expect(try HandMade.values(laughs + Array(".".utf8)).values.count < 100)
    // What has to be copied is paid for.
    let items = Array(repeating: UInt8(ascii: "N"), count: 5000)
    let list = [0x80, 2] + Array("](".utf8) + items + Array("eq\u{0}".utf8)
    let copies: [UInt8] = (0..<1000).flatMap { _ in
      HandMade.global("builtins", "set") + [0x68, 0, 0x85, UInt8(ascii: "R"), UInt8(ascii: "0")]
    }
    let error = try #require(throws: CheckpointError.self) {
      try HandMade.values(list + copies + Array(".".utf8))
    }
    #expect(error.description.contains("makes more values than a file of its size should"))
  }

  @Test(arguments: [
    ("]", "ends too early"), (".", "takes from an empty stack"), ("t.", "a mark that is not there"),
    ("N(0.", "holds one None"), ("]Na", "ends too early"), ("NNa.", "appends to what is no list"),
    ("(N", "ends too early"), ("}(Nu.", "has a key without a value"), ("NNNs.", "what is no dictionary"),
    ("h\u{5}.", "recalls the value 5"), ("g5\n.", "recalls the value 5"),
    ("gx\n.", "an index that is no number"),
    ("P1\n.", "has the instruction 0x50"), ("NQ.", "refers to data outside"),
    ("Ix\n.", "an integer that is none"),
    ("Fx\n.", "a number that is none"), ("NNR.", "calls with what is no tuple"),
    ("\u{1}.", "instruction 0x1"),
    ("X\u{7f}\u{7f}\u{7f}\u{7f}.", "ends too early"), ("T\u{7f}\u{7f}\u{7f}\u{7f}.", "ends too early"),
    ("(o.", "an object of no class"), ("cos\nsystem\n).", "holds one tuple of 0"),
  ]) func brokenPicklesAreSentences(_ pickle: String, _ says: String) throws {
    let bytes = [0x80, 2] + Array(pickle.utf8)
    let error = try #require(throws: CheckpointError.self) { try HandMade.read(HandMade.archive(bytes)) }
    #expect(error.description.contains(says), "\(error)")
  }

  @Test(
    arguments: [
      ([0x8b, 0xff, 0xff, 0xff, 0x7f], "has an integer of 2147483647 bytes"),
      ([0x8b, 0xff, 0xff, 0xff, 0xff], "a size that is not possible"),
      ([0x8d, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], "ends too early"),
      ([0x8d, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "a size that is not possible"),
      ([0x82, 1], "has the instruction 0x82"), ([0x97], "has the instruction 0x97"),
      ([0x80, 6], "has the protocol 6"), ([0x95, 1], "ends too early"),
    ] as [([UInt8], String)]) func absurdSizesAreSentences(_ bytes: [UInt8], _ says: String) throws
  {
    let error = try #require(throws: CheckpointError.self) { try HandMade.values([0x80, 2] + bytes) }
    #expect(error.description.contains(says), "\(error)")
  }

  @Test func valuesOfEveryProtocolAreRead() throws {
    let pickles: [(String, String)] = [
      ("I01\n.", "truth value"), ("I42\n.", "integer"), ("L12345678901234567890123L\n.", "integer"),
      ("F1.5\n.", "number"), ("S'a\\x41'\n.", "text"), ("V\\u00e9\n.", "text"), ("(lp0\nI1\na.", "list of 1"),
      ("(dp0\nS'k'\nI1\ns.", "dictionary of 1"), ("(I1\nI2\nt.", "tuple of 2"),
      ("(i__main__\nThing\n.", "object of __main__.Thing"),
      ("(c__main__\nThing\no.", "object of __main__.Thing"), ("U\u{1}a.", "text"), ("NN20.", "None"),
      ("(N1N.", "None"),
    ]
    for (pickle, kind) in pickles {
      let values = try HandMade.values(Array(pickle.utf8))
      #expect(values.kind(values.root) == kind, "\(pickle)")
    }
    let escaped = try HandMade.values(Array("S'a\\x41'\n.".utf8))
    guard case .text("aA") = escaped[escaped.root] else {
      Issue.record("expected the text aA, got \(escaped[escaped.root])")
      return
    }
  }

  @Test(arguments: ["../w", "/w", "archive/../../w", "archive\\w", "archive/data/\u{0}"])
  func namesThatLeadOutAreRefused(_ name: String) throws {
    let file = HandMade.archive(
      HandMade.pickle(), entries: [("archive/data/0", HandMade.floats), (name, [])])
    let error = try #require(throws: CheckpointError.self) { try HandMade.read(file) }
    #expect(error.description.contains("whose name could lead out of the archive"))
  }

  @Test func entriesMustDifferAndBeWhole() throws {
    let pickle = HandMade.pickle()
    for (entries, says) in [
      ([("archive/data/0", HandMade.floats), ("archive/data/0", HandMade.floats)], "is there twice"),
      ([], "lacks the storage '0'"), ([("archive/data/0", [1, 2])], "has 2 bytes, expected 16"),
      ([("archive/byteorder", Array("big".utf8))], "was written on a big-endian machine"),
      ([("archive/constants.pkl", [])], "is a TorchScript program"),
    ] as [([(String, [UInt8])], String)] {
      let file = HandMade.archive(pickle, entries: entries)
      let error = try #require(throws: CheckpointError.self) { try HandMade.read(file) }
      #expect(error.description.contains(says), "\(error)")
    }
    let other = HandMade.archive([("word/document.xml", [1])])
    let error = try #require(throws: CheckpointError.self) { try HandMade.read(other) }
    #expect(error.description.contains("without the data.pkl that torch.save writes"))
  }

  /// Where a signature of a zip record is in an archive, counted from 0.
  private func position(_ signature: [UInt8], _ file: [UInt8], _ number: Int = 0) throws -> Int {
    try #require(file.indices.filter { file[$0...].starts(with: signature) }.dropFirst(number).first)
  }

  @Test(
    arguments: [
      ("directory", 8, [1, 8], "is encrypted"), ("directory", 10, [8, 0], "otherwise in its local header"),
      ("directory", 16, [1, 1], "is damaged: the checksum differs"), ("directory", 20, [9], "has two sizes"),
      ("directory", 42, [9], "not where its directory says"),
      ("directory", 45, [0x7f], "does not lie in the archive"),
      ("directory", 0, [0], "its zip directory is not valid"),
      ("local", 0, [0], "not where its directory says"),
      ("local", 8, [8], "otherwise in its local header"), ("local", 30, [1], "otherwise in its local header"),
      ("local", 18, [1], "otherwise in its local header"),
      ("local", 28, [0xff, 0x7f], "ends too early"),
      ("end", 4, [1], "several parts"), ("end", 10, [1], "contradict"), ("end", 12, [1], "contradict"),
      ("end", 16, [1], "contradict"), ("end", 20, [1], "is cut off"), ("wide", 24, [9], "contradict"),
      ("wide", 4, [0], "zip64 end record is not where"), ("locator", 8, [1], "zip64 end record is not where"),
      ("locator", 16, [7], "several parts"),
    ] as [(String, Int, [UInt8], String)]) func brokenArchivesAreSentences(
      _ record: String, _ field: Int, _ value: [UInt8], _ says: String
    ) throws
  {
    var file = HandMade.archive(HandMade.pickle())
    let signatures: [String: [UInt8]] = [
      "directory": [0x50, 0x4b, 1, 2], "local": [0x50, 0x4b, 3, 4], "end": [0x50, 0x4b, 5, 6],
      "wide": [0x50, 0x4b, 6, 6], "locator": [0x50, 0x4b, 6, 7],
    ]
    // Records of the second entry, as the first local one says what kind of file this is.
    let number = ["directory", "local"].contains(record) ? 1 : 0
    let start = try position(try #require(signatures[record]), file, number) + field
    file.replaceSubrange(start..<start + value.count, with: value)
    let error = try #require(throws: CheckpointError.self) { try HandMade.read(file) }
    #expect(error.description.contains(says), "\(error)")
  }

  @Test func entriesMustNotOverlap() throws {
    var file = HandMade.archive(HandMade.pickle())
    let (first, second) = (
      try position([0x50, 0x4b, 1, 2], file), try position([0x50, 0x4b, 1, 2], file, 1)
    )
    // The first entry, grown over the second.
    let size = try position([0x50, 0x4b, 3, 4], file, 1) + 8 - 64
    for start in [first + 20, first + 24, 18, 22] {
      file.replaceSubrange(start..<start + 4, with: HandMade.bytes(UInt32(size)))
    }
    #expect(second > first)
    let error = try #require(throws: CheckpointError.self) { try HandMade.read(file) }
    #expect(error.description.contains("overlaps another"), "\(error)")
  }

  @Test func compressedEntriesAreNamedWithTheRemedy() throws {
    var file = HandMade.archive(HandMade.pickle())
    for record in [[0x50, 0x4b, 1, 2], [0x50, 0x4b, 3, 4]] as [[UInt8]] {
      file[try position(record, file, 1) + (record[2] == 1 ? 10 : 8)] = 8
    }
    let error = try #require(throws: CheckpointError.self) { try HandMade.read(file) }
    #expect(error.description.contains("is compressed, which torch.save never does; pack the archive again"))
  }

  @Test func damagedElementsAreFoundWhenTheyAreRead() throws {
    for shape in [[4], [2]] {
      var file = HandMade.archive(HandMade.pickle(shape: shape))
      let place = try position(HandMade.floats, file)
      file[place + 15] ^= 1
      let opened = try StateDictionary(MemoryBytes(path: "made.pth", bytes: file), selecting: nil)
      let error = try #require(throws: CheckpointError.self) { try opened.tensor("w") }
      #expect(error.description.contains("its storage '0' is damaged: the checksum differs"))
    }
  }

  @Test(arguments: ["views.pth", "training5.pth", "old_training2.pth"]) func anyTruncationIsAnError(
    _ name: String
  )
    throws
  {
    let whole = [UInt8](try Data(contentsOf: PyTorchFileTests.folder.appending(path: name)))
    for length in stride(from: whole.count - 1, to: 8, by: -7) {
      let source = MemoryBytes(path: name, bytes: Array(whole[..<length]))
      #expect(throws: CheckpointError.self, "\(length) bytes") { try StateDictionary(source, selecting: nil) }
    }
  }

  @Test func oldFilesMayHaveTensorsInAPartOfAStorage() throws {
    expectEqual(try HandMade.read(HandMade.oldFile()), [2, 3], [2])
    for (file, says) in [
      (HandMade.oldFile(viewStart: 3), "a part of a storage that reaches outside of it"),
      (HandMade.oldFile(viewStart: -1), "a part of a storage that reaches outside of it"),
      (HandMade.oldFile(viewCount: 1), "reaches outside of its storage"),
      (HandMade.oldFile(version: 1000), "has an unknown version"),
      (HandMade.oldFile(isLittleEndian: false), "was written on a big-endian machine"),
      (HandMade.oldFile(count: 5), "has not the 4 elements expected"),
      (HandMade.oldFile(count: -1), "holds a size that is not possible"),
    ] {
      let error = try #require(throws: CheckpointError.self) { try HandMade.read(file) }
      #expect(error.description.contains(says), "\(error)")
    }
  }

  @Test func bytesAfterTheEndAreRefused() throws {
    let whole = [UInt8](try Data(contentsOf: PyTorchFileTests.folder.appending(path: "old_types.pth")))
    let longer = MemoryBytes(path: "longer.pth", bytes: whole + [0])
    let error = try #require(throws: CheckpointError.self) { try StateDictionary(longer, selecting: nil) }
    #expect(error.description.contains("goes on for 1 bytes after its last storage"))
    let pickle = HandMade.archive(HandMade.pickle() + [0])
    #expect(throws: CheckpointError.self) { try HandMade.read(pickle) }
  }
}
