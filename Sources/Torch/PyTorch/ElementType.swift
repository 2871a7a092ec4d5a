/// A type of elements as PyTorch names it, whether or not this build has it.
struct ElementType: Equatable, Sendable {
  /// PyTorch's name without `torch.`, for example `float32` or `uint16`.
  let name: String
  /// Bytes an element occupies.
  let byteCount: Int
  /// The type here, where there is one.
  let dtype: DType?

  private init(_ name: String, _ byteCount: Int) {
    self.name = name
    self.byteCount = byteCount
    dtype = DType.allCases.first { $0.name == name }
  }

  /// The type of the elements in a storage of that class, such as `torch.FloatStorage`.
  init?(storageClass name: String) {
    let name = name.hasPrefix("torch.cuda.") ? "torch." + name.dropFirst("torch.cuda.".count) : name
    guard let element = Self.storageClasses[name] else { return nil }
    self = element
  }

  /// The type of that name, such as `torch.uint16`; `nil` if its size is not known.
  init?(dtypeName name: String) {
    guard name.hasPrefix("torch."), let size = Self.sizes[String(name.dropFirst("torch.".count))] else {
      return nil
    }
    self.init(String(name.dropFirst("torch.".count)), size)
  }

  /// The class of storages of a type here.
  static func storageClass(of dtype: DType) -> String {
    switch dtype {
    case .uint8: "ByteStorage"
    case .int8: "CharStorage"
    case .int16: "ShortStorage"
    case .int32: "IntStorage"
    case .int64: "LongStorage"
    case .float16: "HalfStorage"
    case .float32: "FloatStorage"
    case .float64: "DoubleStorage"
    case .bool: "BoolStorage"
    case .bfloat16: "BFloat16Storage"
    }
  }

  /// The type of what has no elements that could be named.
  static let none = ElementType("unknown", 1)

  private static let storageClasses: [String: ElementType] = {
    var classes = [
      "torch.storage.UntypedStorage": ElementType("uint8", 1), "torch.UntypedStorage": .init("uint8", 1),
      "torch.ComplexFloatStorage": .init("complex64", 8),
      "torch.ComplexDoubleStorage": .init("complex128", 16),
      "torch.QInt8Storage": .init("qint8", 1), "torch.QUInt8Storage": .init("quint8", 1),
      "torch.QInt32Storage": .init("qint32", 4), "torch.QUInt4x2Storage": .init("quint4x2", 1),
      "torch.QUInt2x4Storage": .init("quint2x4", 1),
    ]
    for dtype in DType.allCases {
      classes["torch." + storageClass(of: dtype)] = ElementType(dtype.name, dtype.byteCount)
    }
    return classes
  }()

  private static let sizes: [String: Int] = {
    var sizes = [
      "uint16": 2, "uint32": 4, "uint64": 8, "complex32": 4, "complex64": 8, "complex128": 16,
      "float8_e4m3fn": 1, "float8_e4m3fnuz": 1, "float8_e5m2": 1, "float8_e5m2fnuz": 1, "float8_e8m0fnu": 1,
    ]
    for dtype in DType.allCases { sizes[dtype.name] = dtype.byteCount }
    return sizes
  }()
}
