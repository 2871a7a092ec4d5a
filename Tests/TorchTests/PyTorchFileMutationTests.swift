import Foundation
import TestSupport
import Testing

@testable import Torch

/// Files with bytes changed, put in, taken out and cut off at random, by a fixed seed: each either opens or is an error of
/// the reader's own. `Scripts/fuzz` does the same at length, led by coverage.
@Suite struct PyTorchFileMutationTests {
  private static let files =
    [
      "training2.pth", "training5.pth", "views.pth", "others.pth", "unchecked.pth", "old_training1.pth",
      "old_views.pth",
    ]
    .map { "pytorch/\($0)" } + ["python.safetensors"]

  @Test(arguments: files) func changedFilesNeverCrash(_ name: String) throws {
    let folder = PyTorchFileTests.folder.deletingLastPathComponent()
    var whole = [UInt8](try Data(contentsOf: folder.appending(path: name)))
    // Checksums would find every change; 0 stands for none.
    for index in whole.indices where whole[index...].starts(with: [0x50, 0x4b, 1, 2]) {
      whole.replaceSubrange(index + 16..<index + 20, with: [0, 0, 0, 0])
    }
    var random = Mutations(seed: UInt64(whole.count))
    var opened = 0
    for _ in 0..<1500 {
      let source = MemoryBytes(path: name, bytes: random.changed(whole))
      do {
        let file = try StateDictionary(source, selecting: nil)
        for key in file.entries.map(\.key) { _ = try file.tensor(key) }
        opened += 1
      } catch is CheckpointError {}
    }
    // Changes of elements and of texts leave a file sound, most others do not.
    #expect((1..<1500).contains(opened))
  }

  private struct Mutations {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    private mutating func next(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % max(bound, 1)
    }

    mutating func changed(_ whole: [UInt8]) -> [UInt8] {
      var bytes = whole
      for _ in 0...next(3) {
        let place = next(bytes.count)
        switch next(8) {
        case 0: bytes.insert(UInt8(next(256)), at: place)
        case 1: bytes.remove(at: place)
        case 2: bytes.removeSubrange(place..<min(bytes.count, place + next(16)))
        case 3: bytes = Array(bytes[..<max(place, 1)])
        case 4: bytes[place] = [0, 1, 0x7f, 0x80, 0xff, UInt8(ascii: "R"), UInt8(ascii: "h")][next(7)]
        default: bytes[place] ^= 1 << UInt8(next(8))
        }
        if bytes.isEmpty { return [0] }
      }
      return bytes
    }
  }
}
