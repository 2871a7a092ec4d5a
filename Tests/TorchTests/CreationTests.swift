import TestSupport
import Testing
import Torch

@Suite struct CreationTests {
  @Test func constants() {
    expectEqual(Tensor.zeros([2, 3]), [0, 0, 0, 0, 0, 0], [2, 3])
    expectEqual(Tensor.ones([2], dtype: .int32), [1, 1], [2])
    expectEqual(Tensor.full([2, 1], -2.5, dtype: .float64), [-2.5, -2.5], [2, 1])
    expectEqual(Tensor(4.5), [4.5], [])
    expectEqual(Tensor([1.0, 2, 3, 4], [2, 2]), [1, 2, 3, 4], [2, 2])
    expectEqual(Tensor([1.0, 2]).zerosLike(), [0, 0], [2])
  }

  @Test func ranges() {
    expectEqual(Tensor.arange(to: 4), [0, 1, 2, 3], [4])
    expectEqual(Tensor.arange(1, to: 2, step: 0.25, dtype: .float64), [1, 1.25, 1.5, 1.75], [4])
    expectEqual(Tensor.arange(5, to: 0, step: -2, dtype: .int64), [5, 3, 1], [3])
  }

  @Test(arguments: DType.allCases)
  func everyTypeIsMadeAndSaysItsSize(_ dtype: DType) {
    let tensor = Tensor.ones([3], dtype: dtype)
    #expect(tensor.dtype == dtype)
    #expect(tensor.byteCount == 3 * dtype.byteCount)
    #expect(tensor.bytes().count == 3 * dtype.byteCount)
    #expect(tensor.summary == "[3] \(dtype)")
  }

  @Test(arguments: DType.allCases, DType.allCases)
  func everyTypeConvertsToEveryOther(_ source: DType, _ target: DType) {
    let converted = Tensor([0.0, 1, 2]).to(source).to(target)
    #expect(converted.dtype == target)
    let second: Double = source == .bool || target == .bool ? 1 : 2
    expectEqual(converted, [0, 1, second], [3])
  }

  @Test func narrowTypesRound() {
    expectEqual(Tensor([1.0 / 3]).to(.float16), [0.333251953125], [1])
    expectEqual(Tensor([1.0 / 3]).to(.bfloat16), [0.333984375], [1])
    expectEqual(Tensor([1e-3]).to(.float32), [Double(Float(1e-3))], [1])
    expectEqual(Tensor([-1.7, 1.7]).to(.int32), [-1, 1], [2])
    #expect(Tensor([70000.0]).to(.float16).item() == .infinity)
  }

  @Test func elementsComeBackInEverySwiftType() {
    #expect(Tensor([Float(1.5), -2]).array(Float.self) == [1.5, -2])
    #expect(Tensor([1.5, -2]).array(Double.self) == [1.5, -2])
    #expect(Tensor([Int.min, .max]).array(Int.self) == [.min, .max])
    #expect(Tensor([Int64.min, .max]).array(Int64.self) == [.min, .max])
    #expect(Tensor([Int32.min, .max]).array(Int32.self) == [.min, .max])
    #expect(Tensor([UInt8.min, .max]).array(UInt8.self) == [0, 255])
    #expect(Tensor([true, false]).array(Bool.self) == [true, false])
    #expect(Tensor([2.0, 3]).array(Int.self) == [2, 3])
    #expect(Tensor([0x3fff_ffff_ffff_ffff]).itemInt() == 0x3fff_ffff_ffff_ffff)
    #expect(Tensor([2.5]).item() == 2.5)
  }

  @Test func bytesAreThoseInMemory() {
    let tensor = Tensor([UInt8(1), 2, 3, 4, 5, 6], [2, 3])
    #expect(tensor.transpose(0, 1).bytes() == [1, 4, 2, 5, 3, 6])
    #expect(Tensor([Int32(0x0403_0201)]).bytes() == [1, 2, 3, 4])
    let made = [1, 0, 2, 0].withUnsafeBytes { (bytes: UnsafeRawBufferPointer) in
      Tensor(bytes: UnsafeRawBufferPointer(rebasing: bytes[..<8]), [1], dtype: .int64)
    }
    #expect(made.array(Int.self) == [1])
    made.withUnsafeBytes { #expect(Array($0) == [1, 0, 0, 0, 0, 0, 0, 0]) }
  }

  @Test func memoryIsWrittenInPlace() throws {
    let tensor = Tensor([2, 2], dtype: .int32) { bytes in
      #expect(bytes.count == 16)
      for (index, value) in [5, 6, 7, 8].enumerated() {
        bytes.storeBytes(of: Int32(value), toByteOffset: 4 * index, as: Int32.self)
      }
    }
    expectEqual(tensor, [5, 6, 7, 8], [2, 2])
    _ = Tensor([0], dtype: .float32) { #expect($0.isEmpty) }
    struct Stop: Error {}
    #expect(throws: Stop.self) { try Tensor([2], dtype: .float32) { _ in throw Stop() } }
  }

  @Test func aShapeThatDoesNotFitIsAnError() {
    #expect(throws: TorchError("Tensor: 3 values do not fill the shape [2, 2]")) {
      try withTorchErrors { Tensor([1.0, 2, 3], [2, 2]) }
    }
    #expect(throws: TorchError.self) {
      try withTorchErrors { [UInt8]([1, 2]).withUnsafeBytes { Tensor(bytes: $0, [1], dtype: .float32) } }
    }
    #expect(throws: TorchError.self) { try withTorchErrors { Tensor([1.0, 2], [-1, -2]) } }
  }

  @Test func memoryFormats() {
    let map = Tensor.filled([2, 3, 4, 5], key: "map")
    #expect(map.isContiguous() && !map.isContiguous(.channelsLast))
    #expect(map.strides == [60, 20, 5, 1])
    let last = map.contiguous(.channelsLast)
    #expect(last.isContiguous(.channelsLast) && !last.isContiguous())
    #expect(last.strides == [60, 1, 15, 3])
    expectClose(last, map, 0)
    #expect(map.to(format: .channelsLast).strides == [60, 1, 15, 3])
    #expect(last.contiguous(.channelsLast).isSame(as: last))
    expectClose(last.contiguous(), map, 0)
    #expect(last.conv2d(Tensor.ones([4, 3, 1, 1])).isContiguous(.channelsLast))
  }

  @Test func toKeepsTheTensorWhenNothingChanges() {
    let tensor = Tensor([1.0, 2])
    #expect(tensor.to(.float64).isSame(as: tensor))
    #expect(!tensor.clone().isSame(as: tensor))
    let copy = tensor.clone()
    copy.fill(7)
    expectEqual(tensor, [1, 2], [2])
  }

  @Test func sizes() {
    let tensor = Tensor.zeros([2, 3, 4, 5])
    #expect(tensor.rank == 4 && tensor.count == 120 && tensor.shape == [2, 3, 4, 5])
    #expect(tensor.size(-1) == 5 && tensor.size(1) == 3)
    #expect(tensor.shape4 == (2, 3, 4, 5))
    #expect(tensor[0].shape3 == (3, 4, 5))
    #expect(tensor[0, 0].shape2 == (4, 5))
    #expect(tensor.device == .cpu)
  }
}
