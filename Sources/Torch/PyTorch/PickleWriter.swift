/// Writes the pickle of a dictionary of tensors, as `torch.load` with `weights_only=True` accepts it.
struct PickleWriter {
  private(set) var bytes: [UInt8] = [0x80, 2]

  /// The pickle of an ordered dictionary.
  ///
  /// - Parameter tensors: the keys, types and shapes; the storage of each is named by its place in the list.
  init(_ tensors: some Sequence<(key: String, dtype: DType, shape: [Int])>) {
    emptyDictionary()
    bytes += Array("(".utf8)
    for (place, tensor) in tensors.enumerated() {
      text(tensor.key)
      global("torch._utils", "_rebuild_tensor_v2")
      bytes += Array("((".utf8)
      text("storage")
      global("torch", ElementType.storageClass(of: tensor.dtype))
      text("\(place)")
      text("cpu")
      integer(tensor.shape.reduce(1, *))
      bytes += Array("tQ".utf8)
      integer(0)
      tuple(tensor.shape)
      tuple(Self.strides(tensor.shape))
      bytes.append(0x89)
      emptyDictionary()
      bytes += Array("tR".utf8)
    }
    bytes += Array("u.".utf8)
  }

  /// The steps between elements in row-major order, as PyTorch counts them.
  private static func strides(_ shape: [Int]) -> [Int] {
    var strides: [Int] = []
    var step = 1
    for size in shape.reversed() {
      strides.append(step)
      step *= max(size, 1)
    }
    return strides.reversed()
  }

  private mutating func emptyDictionary() {
    global("collections", "OrderedDict")
    bytes += Array(")R".utf8)
  }

  private mutating func global(_ module: String, _ name: String) {
    bytes += Array("c\(module)\n\(name)\n".utf8)
  }

  private mutating func text(_ text: String) {
    bytes.append(UInt8(ascii: "X"))
    append(UInt32(text.utf8.count))
    bytes += Array(text.utf8)
  }

  private mutating func tuple(_ sizes: [Int]) {
    bytes.append(UInt8(ascii: "("))
    for size in sizes { integer(size) }
    bytes.append(UInt8(ascii: "t"))
  }

  private mutating func integer(_ value: Int) {
    if let short = Int32(exactly: value) {
      bytes.append(UInt8(ascii: "J"))
      append(short)
    } else {
      bytes += [0x8a, 8]
      append(Int64(value))
    }
  }

  private mutating func append(_ value: some FixedWidthInteger) {
    withUnsafeBytes(of: value.littleEndian) { bytes += $0 }
  }
}
