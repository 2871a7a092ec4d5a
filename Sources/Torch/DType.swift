/// The type of a tensor's elements.
public enum DType: Int32, Sendable, CaseIterable {
  // Raw values are LibTorch's c10::ScalarType.
  /// Unsigned 8-bit integer.
  case uint8 = 0
  /// Signed 8-bit integer.
  case int8 = 1
  /// Signed 16-bit integer.
  case int16 = 2
  /// Signed 32-bit integer.
  case int32 = 3
  /// Signed 64-bit integer.
  case int64 = 4
  /// IEEE 754 half precision.
  case float16 = 5
  /// IEEE 754 single precision.
  case float32 = 6
  /// IEEE 754 double precision.
  case float64 = 7
  /// Truth value, one byte.
  case bool = 11
  /// The upper 16 bits of single precision.
  case bfloat16 = 15

  /// Bytes an element occupies.
  public var byteCount: Int {
    switch self {
    case .uint8, .int8, .bool: 1
    case .int16, .float16, .bfloat16: 2
    case .int32, .float32: 4
    case .int64, .float64: 8
    }
  }

  /// Whether elements are floating-point numbers.
  public var isFloatingPoint: Bool {
    switch self {
    case .float16, .bfloat16, .float32, .float64: true
    default: false
    }
  }

  /// The field's name, for example `float32`.
  public var name: String { String(describing: self) }
}

/// A Swift type whose arrays become tensors and back.
public protocol TensorElement: Sendable {
  /// The element type of the tensor.
  static var dtype: DType { get }
  /// What a poisoned tensor reads as: NaN where the type has it.
  static var poison: Self { get }
}

extension Float: TensorElement {
  /// The element type of the tensor.
  public static var dtype: DType { .float32 }
  /// What a poisoned tensor reads as.
  public static var poison: Float { .nan }
}
extension Double: TensorElement {
  /// The element type of the tensor.
  public static var dtype: DType { .float64 }
  /// What a poisoned tensor reads as.
  public static var poison: Double { .nan }
}
extension Int: TensorElement {
  /// The element type of the tensor.
  public static var dtype: DType { .int64 }
  /// What a poisoned tensor reads as.
  public static var poison: Int { 0 }
}
extension Int64: TensorElement {
  /// The element type of the tensor.
  public static var dtype: DType { .int64 }
  /// What a poisoned tensor reads as.
  public static var poison: Int64 { 0 }
}
extension Int32: TensorElement {
  /// The element type of the tensor.
  public static var dtype: DType { .int32 }
  /// What a poisoned tensor reads as.
  public static var poison: Int32 { 0 }
}
extension UInt8: TensorElement {
  /// The element type of the tensor.
  public static var dtype: DType { .uint8 }
  /// What a poisoned tensor reads as.
  public static var poison: UInt8 { 0 }
}
extension Bool: TensorElement {
  /// The element type of the tensor.
  public static var dtype: DType { .bool }
  /// What a poisoned tensor reads as.
  public static var poison: Bool { false }
}
