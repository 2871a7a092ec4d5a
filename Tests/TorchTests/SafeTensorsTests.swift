import Foundation
import TestSupport
import Testing
import Torch

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

@Suite struct SafeTensorsTests {
  /// A value of every element type that is not the same in any other.
  private static func sample(_ dtype: DType) -> Tensor {
    dtype.isFloatingPoint
      ? Tensor.filled([3, 5], key: dtype.name, low: -9, high: 9, dtype: .float64).to(dtype)
      : Tensor.filled([3, 5], key: dtype.name, low: 0, high: 100).to(dtype)
  }

  @Test(arguments: DType.allCases)
  func everyTypeComesBackBitForBit(_ dtype: DType) throws {
    try inScratchFolder { folder in
      let url = folder.appending(path: "one.safetensors")
      let tensor = Self.sample(dtype)
      try SafeTensors.write([("a", tensor), ("b", tensor.transpose(0, 1))], to: url)
      let file = try SafeTensors.read(from: url)
      #expect(file.names == ["a", "b"])
      let (a, b) = (try file.tensor("a"), try file.tensor("b"))
      #expect(a.dtype == dtype && a.shape == [3, 5] && b.shape == [5, 3])
      #expect(a.bytes() == tensor.bytes())
      #expect(b.bytes() == tensor.transpose(0, 1).bytes())
      #expect(b.transpose(0, 1).bytes() == tensor.bytes())
    }
  }

  @Test func emptyAndScalarTensorsAndViews() throws {
    try inScratchFolder { folder in
      let url = folder.appending(path: "shapes.safetensors")
      let map = Tensor.filled([2, 3, 4, 5], key: "map")
      let written = [
        ("empty", Tensor.zeros([0, 3])), ("scalar", Tensor(2.5)), ("slice", map[1, 0..<2]),
        ("channelsLast", map.contiguous(.channelsLast)),
        ("expanded", Tensor([1.0, 2]).unsqueeze(0).expand([3, 2])),
        ("parameter", Tensor.ones([2]).requiringGradient()), ("last", Tensor.zeros([2, 0])),
      ]
      try SafeTensors.write(written, to: url)
      let file = try SafeTensors.read(from: url)
      #expect(file.names == written.map(\.0))
      for (name, tensor) in written {
        let read = try file.tensor(name)
        expectShape(read, tensor.shape, name)
        #expect(read.bytes() == tensor.bytes(), "\(name)")
        #expect(!read.requiresGradient)
      }
    }
  }

  @Test func theSameTensorsGiveTheSameBytesInTheOrderGiven() throws {
    try inScratchFolder { folder in
      let (one, two) = (folder.appending(path: "1"), folder.appending(path: "2"))
      let tensors = [("z", Tensor([UInt8(1)])), ("a", Tensor([UInt8(2)]))]
      let metadata = Dictionary(uniqueKeysWithValues: (0..<20).map { ("key \($0)", "\($0)") })
      try SafeTensors.write(tensors, metadata: metadata, to: one)
      try SafeTensors.write(tensors, metadata: metadata, to: two)
      let bytes = try Data(contentsOf: one)
      #expect(try Data(contentsOf: two) == bytes)
      #expect(bytes.suffix(2) == Data([1, 2]))
      #expect((bytes.count - 2) % 8 == 0)
      #expect(try SafeTensors.read(from: one).metadata == metadata)
    }
  }

  @Test func namesAndTextsSurviveEscaping() throws {
    try inScratchFolder { folder in
      let url = folder.appending(path: "names")
      let texts = ["", "a\"b\\c/d", "line\nbreak\ttab\u{1}", "größe 漢字 🧠", "__metadata"]
      try SafeTensors.write(
        texts.map { ($0, Tensor([1.0])) }, metadata: Dictionary(uniqueKeysWithValues: texts.map { ($0, $0) }),
        to: url)
      let file = try SafeTensors.read(from: url)
      #expect(file.names == texts)
      #expect(file.metadata == Dictionary(uniqueKeysWithValues: texts.map { ($0, $0) }))
    }
  }

  // Made by the Python package safetensors 0.8.0 with NumPy.
  @Test func readsWhatPythonWrote() throws {
    let file = try SafeTensors.read(from: fixture("python.safetensors"))
    #expect(file.metadata == ["format": "np", "note": "line\nbreak \"quoted\" é"])
    #expect(
      Set(file.names) == [
        "f64", "f32", "f16", "i64", "i32", "i16", "i8", "u8", "bool", "scalar", "empty", "größe \"q\"",
      ])
    expectEqual(try file.tensor("f64"), [1.5, -2.25, .pi, 1e300], [2, 2])
    expectEqual(try file.tensor("f32"), [Double(Float(0.1)), 0, .infinity], [3])
    #expect(try file.tensor("f32").array(Float.self)[1].sign == .minus)
    expectEqual(try file.tensor("f16"), [1, 2, 3, 0.5, -65504, 0x1p-24], [2, 3])
    #expect(try file.tensor("i64").array(Int64.self) == [.min, .max])
    #expect(try file.tensor("i32").array(Int32.self) == [7])
    expectEqual(try file.tensor("i16"), [-300, 300], [2])
    expectEqual(try file.tensor("i8"), [-128, 127], [2])
    #expect(try file.tensor("u8").array(UInt8.self) == [0, 255])
    #expect(try file.tensor("bool").array(Bool.self) == [true, false, true])
    expectEqual(try file.tensor("scalar"), [2.5], [])
    expectShape(try file.tensor("empty"), [0, 3])
    #expect(file.entry("größe \"q\"")?.dtype == .uint8)
    #expect(try file.tensors().map(\.name) == file.names)
  }

  @Test func truthValuesOfStrangersBecomeZeroOrOne() throws {
    try inScratchFolder { folder in
      let url = try write(
        #"{"b":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}}"#, data: [0, 2, 255], in: folder)
      #expect(try SafeTensors.read(from: url).tensor("b").bytes() == [0, 1, 1])
    }
  }

  @Test func anyTruncationIsAnError() throws {
    let whole = try Data(contentsOf: fixture("python.safetensors"))
    try inScratchFolder { folder in
      let url = folder.appending(path: "part")
      try (whole + [0]).write(to: url)
      #expect(throws: CheckpointError.self) { try SafeTensors.read(from: url) }
      for length in (0..<whole.count).reversed() {
        try #require(truncate(url.path(percentEncoded: false), off_t(length)) == 0)
        #expect(throws: CheckpointError.self, "\(length) bytes") { try SafeTensors.read(from: url) }
      }
    }
  }

  @Test func anyChangedByteOfTheHeaderNeverCrashes() throws {
    let whole = try Data(contentsOf: fixture("python.safetensors"))
    let headerEnd = 8 + Int(whole[0]) + Int(whole[1]) << 8
    try inScratchFolder { folder in
      let url = folder.appending(path: "changed")
      try whole.write(to: url)
      let handle = try FileHandle(forUpdating: url)
      func put(_ byte: UInt8, at position: Int) throws {
        try handle.seek(toOffset: UInt64(position))
        try handle.write(contentsOf: [byte])
      }
      for position in 0..<headerEnd {
        for value in [0, 0x22, 0x39, 0x7d, 0xff] as [UInt8] {
          try put(value, at: position)
          do {
            _ = try SafeTensors.read(from: url).tensors()
          } catch is CheckpointError {}
        }
        try put(whole[position], at: position)
      }
      #expect(try SafeTensors.read(from: url).names.count == 12)
    }
  }

  struct Malformed: CustomTestStringConvertible {
    let header: String, data: Int, says: String
    var testDescription: String { says }
    init(_ header: String, data: Int = 4, _ says: String) {
      (self.header, self.data, self.says) = (header, data, says)
    }
  }

  @Test(arguments: [
    Malformed("", "expected '{' at the start of the header at byte 0, found the end of the header"),
    Malformed("[]", "expected '{'"),
    Malformed(#"{"a":1}"#, "expected '{' at the start of the tensor's description at byte 5, found '1'"),
    Malformed(#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#, "found the end of the header"),
    Malformed(#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}} x"#, "nothing after the closing '}'"),
    Malformed(#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},}"#, "a value after ','"),
    Malformed(#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,]}}"#, "a value after ','"),
    Malformed(#"{"a":{"dtype":"F32","shape":[1]}}"#, "lacks 'data_offsets'"),
    Malformed(#"{"a":{}}"#, "lacks 'dtype', 'shape', 'data_offsets'"),
    Malformed(#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}"#, "has an unknown field 'x'"),
    Malformed(
      #"{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, "has the field 'dtype' twice"),
    Malformed(#"{"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}"#, "has the element type 'F99'"),
    Malformed(#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, "an integer that is not negative"),
    Malformed(#"{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}"#, "expected an integer"),
    Malformed(#"{"a":{"dtype":"F32","shape":[01],"data_offsets":[0,4]}}"#, "a leading zero"),
    Malformed(
      #"{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}}"#, "more than 63 bits"),
    Malformed(
      #"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}"#, "too large to count"),
    Malformed(
      #"{"a":{"dtype":"F32","shape":[0,4611686018427387904,4],"data_offsets":[0,0]}}"#, "too large to count"),
    Malformed(#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, "needs 8 bytes"),
    Malformed(
      #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#, "needs two offsets in order, got [4, 0]"),
    Malformed(
      #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}"#, "needs two offsets in order, got [0]"),
    Malformed(#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}"#, "has more than 2 offsets"),
    Malformed(
      #"{"a":{"dtype":"F32","shape":[\#(Array(repeating: "1", count: 65).joined(separator: ","))],"data_offsets":[0,4]}}"#,
      "has more than 64 dimensions"),
    Malformed(#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, data: 8, "leaves a gap"),
    Malformed(#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, "ends at byte 8 of the data"),
    Malformed(#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, data: 9, "fill 4 bytes"),
    Malformed(
      #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}"#,
      data: 6, "overlaps the tensor before it"),
    Malformed(
      #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
      data: 8, "tensor 'a': stands in the header twice"),
    Malformed(#"{"__metadata__":{"a":1}}"#, data: 0, #"expected '"'"#),
    Malformed(#"{"__metadata__":{"a":"1","a":"2"}}"#, data: 0, "'a' stands in '__metadata__' twice"),
    Malformed(#"{"__metadata__":{},"__metadata__":{}}"#, data: 0, "stands in the header twice"),
    Malformed(#"{"\x":{}}"#, "expected an escape of JSON"),
    Malformed(#"{"\ud800":{}}"#, "surrogate pair"),
    Malformed(#"{"\u00zz":{}}"#, "four hexadecimal digits"),
    Malformed("{\"a\nb\":{}}", "no control character"),
    Malformed(#"{"a"#, "at the end of a text"),
  ])
  func malformedHeadersAreNamed(_ malformed: Malformed) throws {
    try inScratchFolder { folder in
      let url = try write(malformed.header, data: Array(repeating: 0, count: malformed.data), in: folder)
      let error = try #require(throws: CheckpointError.self) { try SafeTensors.read(from: url) }
      #expect(error.description.contains(malformed.says), "\(error)")
      #expect(error.description.hasPrefix(url.path(percentEncoded: false)))
      #expect(error.description.hasSuffix("download or export the file again"))
    }
  }

  @Test func lengthsOfTheHeaderAreBounded() throws {
    try inScratchFolder { folder in
      let url = folder.appending(path: "long")
      for (length, says) in [
        (UInt64.max, "more than the 100000000 allowed"), (100_000_001, "more than the 100000000 allowed"),
        (100_000_000, "only 2 follow"), (3, "only 2 follow"),
      ] {
        try (withUnsafeBytes(of: length.littleEndian) { Data($0) } + Data("{}".utf8)).write(to: url)
        let error = try #require(throws: CheckpointError.self) { try SafeTensors.read(from: url) }
        #expect(error.description.contains(says), "\(error)")
      }
    }
  }

  @Test func textThatIsNotUnicodeIsAnError() throws {
    try inScratchFolder { folder in
      let url = folder.appending(path: "latin")
      let header = Data(#"{"__metadata__":{"a":""#.utf8) + [0xe9] + Data(#""}}"#.utf8)
      try (withUnsafeBytes(of: UInt64(header.count).littleEndian) { Data($0) } + header).write(to: url)
      let error = try #require(throws: CheckpointError.self) { try SafeTensors.read(from: url) }
      #expect(error.description.contains("not UTF-8"))
    }
  }

  @Test func whatIsNotAFileIsNamed() throws {
    try inScratchFolder { folder in
      let missing = try #require(throws: CheckpointError.self) {
        try SafeTensors.read(from: folder.appending(path: "none"))
      }
      #expect(missing.description.contains("No such file"))
      #expect(throws: CheckpointError.self) { try SafeTensors.read(from: folder) }
      let pipe = folder.appending(path: "pipe")
      #expect(mkfifo(pipe.path(percentEncoded: false), 0o600) == 0)
      let special = try #require(throws: CheckpointError.self) { try SafeTensors.read(from: pipe) }
      #expect(special.description.contains("not a regular file"))
    }
  }

  @Test func aMissingTensorIsNamedWithWhatThereIs() throws {
    let file = try SafeTensors.read(from: fixture("python.safetensors"))
    let error = try #require(throws: CheckpointError.self) { try file.tensor("head.weight") }
    #expect(error.key == "head.weight")
    #expect(
      error.description.contains("tensor 'head.weight': is not in the file; choose one of its 12, such as '"))
  }

  @Test func aFileThatShrinksAfterOpeningIsAnError() throws {
    try inScratchFolder { folder in
      let url = folder.appending(path: "shrinks")
      try SafeTensors.write([("a", Tensor.ones([1000]))], to: url)
      let file = try SafeTensors.read(from: url)
      #expect(truncate(url.path(percentEncoded: false), 100) == 0)
      let error = try #require(throws: CheckpointError.self) { try file.tensor("a") }
      #expect(error.description.contains("became shorter"))
    }
  }

  @Test func namesMustDiffer() throws {
    try inScratchFolder { folder in
      let url = folder.appending(path: "twice")
      for names in [["a", "a"], ["__metadata__"]] {
        let error = try #require(throws: CheckpointError.self) {
          try SafeTensors.write(names.map { ($0, Tensor([1.0])) }, to: url)
        }
        #expect(error.key == names.last)
      }
      #expect(try files(in: folder).isEmpty)
    }
  }

  @Test func aPoisonedTensorIsNotWritten() throws {
    try inScratchFolder { folder in
      let url = folder.appending(path: "poisoned")
      #expect(throws: TorchError.self) {
        try withTorchErrors {
          let sum = Tensor([1.0, 2]) + Tensor([1.0, 2, 3])
          try SafeTensors.write([("sum", sum)], to: url)
        }
      }
      let left = try files(in: folder)
      #expect(left.isEmpty)
    }
  }

  private func write(_ header: String, data: [UInt8], in folder: URL) throws -> URL {
    let url = folder.appending(path: "made.safetensors")
    let length = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Data($0) }
    try (length + Data(header.utf8) + Data(data)).write(to: url)
    return url
  }

  private func fixture(_ name: String) throws -> URL {
    try #require(Bundle.module.resourceURL).appending(path: "Fixtures/\(name)")
  }
}
