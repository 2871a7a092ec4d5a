import CTorch

/// Owns one reference of a LibTorch tensor.
// Unchecked: the pointer never changes and LibTorch counts its references atomically. What the pointer leads to
// is mutable, which is why `Tensor`, the only way to reach it, is not Sendable.
final class TensorHandle: @unchecked Sendable {
  let pointer: OpaquePointer
  init(owning pointer: OpaquePointer) { self.pointer = pointer }
  deinit { ct_release(pointer) }
}

/// An n-dimensional array of numbers on a ``Device``, with LibTorch's automatic differentiation.
///
/// A small value holding one reference-counted handle: copying a tensor copies the reference, not the elements, and
/// memory goes back when the last reference ends. Not `Sendable`: a tensor moves between isolations by `sending`.
///
/// A wrong shape or rank is a programmer's error and traps with LibTorch's sentence, the operator's name and the
/// operands' shapes; inside ``withTorchErrors(_:)`` it throws.
public struct Tensor {
  let handle: TensorHandle

  init(owning pointer: OpaquePointer) { handle = TensorHandle(owning: pointer) }

  init(_ pointer: OpaquePointer?, _ operation: @autoclosure () -> String) {
    if let pointer {
      self.init(owning: pointer)
    } else {
      require(false, "\(operation()): \(String(cString: ct_last_error()))")
      self = .poisoned
    }
  }

  /// What operations return once an error scope has failed: sizes 1, items NaN.
  static var poisoned: Tensor {
    guard let pointer = ct_poisoned() else {
      fatalError("out of memory: \(String(cString: ct_last_error()))")
    }
    return Tensor(owning: pointer)
  }
}

@available(*, unavailable, message: "a tensor moves between isolations by `sending`")
extension Tensor: Sendable {}

extension Tensor {
  var pointer: OpaquePointer { handle.pointer }

  /// The number of dimensions.
  public var rank: Int { Int(ct_rank(pointer)) }

  /// The size of each dimension.
  public var shape: [Int] { (0..<ct_rank(pointer)).map { Int(ct_size(pointer, $0)) } }

  /// The distance in elements between neighbours along each dimension.
  public var strides: [Int] { (0..<ct_rank(pointer)).map { Int(ct_stride(pointer, $0)) } }

  /// The number of elements.
  public var count: Int { Int(ct_count(pointer)) }

  /// The type of the elements.
  public var dtype: DType {
    guard let dtype = DType(rawValue: ct_dtype(pointer)) else {
      fatalError("LibTorch's element type \(ct_dtype(pointer)) is not one that Ganglion knows")
    }
    return dtype
  }

  /// Where the elements live.
  public var device: Device { Device(type: ct_device_type(pointer), index: ct_device_index(pointer)) }

  /// The size along `dimension`; negative dimensions count from the last.
  public func size(_ dimension: Int) -> Int {
    let rank = self.rank
    let index = dimension < 0 ? dimension + rank : dimension
    guard index >= 0 && index < rank else {
      require(false, "size: dimension \(dimension) of a tensor of shape \(shape)")
      return 1
    }
    return Int(ct_size(pointer, Int32(index)))
  }

  /// The sizes of a tensor of two dimensions.
  public var shape2: (Int, Int) {
    require(rank == 2, "expected 2 dimensions, got shape \(shape)")
    return isPoisoned ? (1, 1) : (size(0), size(1))
  }

  /// The sizes of a tensor of three dimensions.
  public var shape3: (Int, Int, Int) {
    require(rank == 3, "expected 3 dimensions, got shape \(shape)")
    return isPoisoned ? (1, 1, 1) : (size(0), size(1), size(2))
  }

  /// The sizes of a tensor of four dimensions, for a feature map batch, channels, height, width.
  public var shape4: (Int, Int, Int, Int) {
    require(rank == 4, "expected 4 dimensions, got shape \(shape)")
    return isPoisoned ? (1, 1, 1, 1) : (size(0), size(1), size(2), size(3))
  }

  /// Whether the elements lie in that order without gaps.
  public func isContiguous(_ format: MemoryFormat = .contiguous) -> Bool {
    ct_is_contiguous(pointer, format.rawValue)
  }

  /// Whether both values refer to one and the same tensor.
  public func isSame(as other: Tensor) -> Bool { ct_is_same(pointer, other.pointer) }

  /// The single element as a number; waits for the device.
  public func item() -> Double {
    var value = Double.nan
    requireSuccess(ct_item(pointer, &value), "item of \(summary)")
    return value
  }

  /// The single element as an integer; waits for the device.
  public func itemInt() -> Int {
    var value: Int64 = 0
    requireSuccess(ct_item_int(pointer, &value), "item of \(summary)")
    return Int(value)
  }

  /// The elements in row-major order, converted to `type`.
  public func array<Element: TensorElement>(_ type: Element.Type = Element.self) -> [Element] {
    let source = to(device: .cpu, dtype: Element.dtype)
    let count = source.count
    if isPoisoned { return Array(repeating: Element.poison, count: 1) }
    return [Element](unsafeUninitializedCapacity: count) { buffer, initialized in
      let bytes = count * MemoryLayout<Element>.stride
      requireSuccess(ct_copy_out(source.pointer, buffer.baseAddress, Int64(bytes)), "array of \(summary)")
      initialized = count
    }
  }

  /// The bytes of the elements in row-major order, in the host's byte order.
  public func bytes() -> [UInt8] {
    if isPoisoned { return [UInt8](repeating: 0, count: dtype.byteCount) }
    let source = to(device: .cpu)
    let length = source.count * dtype.byteCount
    return [UInt8](unsafeUninitializedCapacity: length) { buffer, initialized in
      requireSuccess(ct_copy_out(source.pointer, buffer.baseAddress, Int64(length)), "bytes of \(summary)")
      initialized = length
    }
  }

  /// Shape and element type in one word, for messages: `[2, 3] float32`.
  public var summary: String { "\(shape) \(dtype)" + (device == .cpu ? "" : " \(device)") }
}
