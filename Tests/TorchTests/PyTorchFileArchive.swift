import Foundation

@testable import Torch

/// Archives and pickles made byte by byte, as no `torch.save` would.
enum HandMade {
  /// The opcodes of a tensor of float32 that is the value for the key `w` of a dictionary.
  static func pickle(
    count: Int = 4, offset: Int = 0, shape: [Int] = [4], strides: [Int] = [1], type: String = "FloatStorage",
    key: String = "0", before: [UInt8] = []
  ) -> [UInt8] {
    [0x80, 2] + before + Array("}".utf8) + text("w")
      + tensor(count: count, offset: offset, shape: shape, strides: strides, type: type, key: key)
      + Array("s.".utf8)
  }

  static func tensor(
    count: Int = 4, offset: Int = 0, shape: [Int] = [4], strides: [Int] = [1], type: String = "FloatStorage",
    key: String = "0"
  ) -> [UInt8] {
    global("torch._utils", "_rebuild_tensor_v2") + Array("((".utf8) + text("storage") + global("torch", type)
      + text(key) + text("cpu") + integer(count) + Array("tQ".utf8) + integer(offset) + tuple(shape)
      + tuple(strides) + [0x89] + global("collections", "OrderedDict") + Array(")RtR".utf8)
  }

  static func global(_ module: String, _ name: String) -> [UInt8] { Array("c\(module)\n\(name)\n".utf8) }

  static func text(_ text: String) -> [UInt8] {
    [UInt8(ascii: "X")] + bytes(UInt32(text.utf8.count)) + Array(text.utf8)
  }

  static func integer(_ value: Int) -> [UInt8] { [0x8a, 8] + bytes(value) }

  static func tuple(_ values: [Int]) -> [UInt8] {
    Array("(".utf8) + values.flatMap(integer) + Array("t".utf8)
  }

  static func bytes(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
  }

  /// An archive with a pickle and one storage of four floats, unless other entries are given.
  static func archive(
    _ pickle: [UInt8], entries: [(String, [UInt8])] = [("archive/data/0", floats)]
  ) -> [UInt8] {
    archive([("archive/data.pkl", pickle)] + entries)
  }

  static func archive(_ entries: [(String, [UInt8])]) -> [UInt8] {
    var (writer, result) = (ZipWriter(), [] as [UInt8])
    for (name, content) in entries {
      var checksum = Checksum()
      content.withUnsafeBytes { checksum.update($0) }
      result += writer.begin(name, size: content.count, checksum: checksum.value) + content
    }
    return result + writer.end()
  }

  /// A file in the form before PyTorch 1.6 whose tensor `w` sees a part of a storage of four floats.
  static func oldFile(
    viewStart: Int = 1, viewCount: Int = 2, version: UInt16 = 1001, isLittleEndian: Bool = true,
    count: Int = 4
  ) -> [UInt8] {
    let tensor =
      global("torch._utils", "_rebuild_tensor") + Array("((".utf8) + text("storage")
      + global("torch", "FloatStorage") + text("root") + text("cpu") + integer(4) + Array("(".utf8)
      + text("view") + integer(viewStart) + integer(viewCount) + Array("ttQ".utf8) + integer(0)
      + tuple([2]) + tuple([1]) + Array("tR".utf8)
    let magic: [UInt8] = [
      0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e,
    ]
    let system = [0x80, 2, 0x7d] + text("little_endian") + [isLittleEndian ? 0x88 : 0x89] + Array("s.".utf8)
    let object = [0x80, 2, 0x7d] + text("w") + tensor + Array("s.".utf8)
    let keys = [0x80, 2, 0x5d] + text("root") + Array("a.".utf8)
    return magic + [0x80, 2, UInt8(ascii: "M")] + bytes(version) + Array(".".utf8) + system + object + keys
      + bytes(count) + floats
  }

  static let floats = [1.0, 2, 3, 4].flatMap { bytes(Float($0).bitPattern) }

  /// The tensor `w` in what a file with these bytes holds.
  static func read(_ file: [UInt8], selecting path: String? = nil) throws -> Tensor {
    try StateDictionary(MemoryBytes(path: "made.pth", bytes: file), selecting: path).tensor("w")
  }

  /// The values of a pickle alone.
  static func values(_ pickle: [UInt8]) throws -> PickleGraph {
    try PickleReader(ByteReader(MemoryBytes(path: "made.pkl", bytes: pickle), 0..<pickle.count)).graph
  }
}
