extension Tensor {
  /// Element-wise sum, with broadcasting.
  public static func + (a: Tensor, b: Tensor) -> Tensor { Aten.add(.tensor(a), .tensor(b)) }
  /// Element-wise difference, with broadcasting.
  public static func - (a: Tensor, b: Tensor) -> Tensor { Aten.sub(.tensor(a), .tensor(b)) }
  /// Element-wise product, with broadcasting.
  public static func * (a: Tensor, b: Tensor) -> Tensor { Aten.mul(.tensor(a), .tensor(b)) }
  /// Element-wise quotient, with broadcasting.
  public static func / (a: Tensor, b: Tensor) -> Tensor { Aten.div(.tensor(a), .tensor(b)) }
  /// A number added to every element; a whole number leaves integers integers.
  public static func + (a: Tensor, b: Double) -> Tensor { Aten.addScalar(.tensor(a), a.scalar(b)) }
  /// A number added to every element; a whole number leaves integers integers.
  public static func + (a: Double, b: Tensor) -> Tensor { b + a }
  /// A number subtracted from every element; a whole number leaves integers integers.
  public static func - (a: Tensor, b: Double) -> Tensor { Aten.subScalar(.tensor(a), a.scalar(b)) }
  /// Every element subtracted from a number; a whole number leaves integers integers.
  public static func - (a: Double, b: Tensor) -> Tensor { Aten.rsubScalar(.tensor(b), b.scalar(a)) }
  /// Every element times a number; a whole number leaves integers integers.
  public static func * (a: Tensor, b: Double) -> Tensor { Aten.mulScalar(.tensor(a), a.scalar(b)) }
  /// Every element times a number; a whole number leaves integers integers.
  public static func * (a: Double, b: Tensor) -> Tensor { b * a }
  /// Every element divided by a number.
  public static func / (a: Tensor, b: Double) -> Tensor { Aten.divScalar(.tensor(a), .double(b)) }
  /// A number divided by every element.
  public static func / (a: Double, b: Tensor) -> Tensor { Aten.reciprocal(.tensor(b)) * a }
  /// A whole number as an integer next to a tensor of integers, so that the sum stays one of integers.
  private func scalar(_ value: Double) -> Argument {
    if dtype.isFloatingPoint { return .double(value) }
    return Int(exactly: value).map(Argument.int) ?? .double(value)
  }

  /// The sign changed.
  public static prefix func - (a: Tensor) -> Tensor { Aten.neg(.tensor(a)) }

  /// Element-wise equality, as truth values.
  public static func .== (a: Tensor, b: Tensor) -> Tensor { Aten.eq(.tensor(a), .tensor(b)) }
  /// Element-wise equality with a number, as truth values.
  public static func .== (a: Tensor, b: Double) -> Tensor { Aten.eqScalar(.tensor(a), .double(b)) }
  /// Element-wise inequality, as truth values.
  public static func .!= (a: Tensor, b: Tensor) -> Tensor { Aten.ne(.tensor(a), .tensor(b)) }
  /// Element-wise inequality with a number, as truth values.
  public static func .!= (a: Tensor, b: Double) -> Tensor { Aten.neScalar(.tensor(a), .double(b)) }
  /// Element-wise comparison, as truth values.
  public static func .< (a: Tensor, b: Tensor) -> Tensor { Aten.lt(.tensor(a), .tensor(b)) }
  /// Element-wise comparison with a number, as truth values.
  public static func .< (a: Tensor, b: Double) -> Tensor { Aten.ltScalar(.tensor(a), .double(b)) }
  /// Element-wise comparison, as truth values.
  public static func .> (a: Tensor, b: Tensor) -> Tensor { Aten.gt(.tensor(a), .tensor(b)) }
  /// Element-wise comparison with a number, as truth values.
  public static func .> (a: Tensor, b: Double) -> Tensor { Aten.gtScalar(.tensor(a), .double(b)) }
  /// Element-wise comparison, as truth values.
  public static func .<= (a: Tensor, b: Tensor) -> Tensor { Aten.le(.tensor(a), .tensor(b)) }
  /// Element-wise comparison with a number, as truth values.
  public static func .<= (a: Tensor, b: Double) -> Tensor { Aten.leScalar(.tensor(a), .double(b)) }
  /// Element-wise comparison, as truth values.
  public static func .>= (a: Tensor, b: Tensor) -> Tensor { Aten.ge(.tensor(a), .tensor(b)) }
  /// Element-wise comparison with a number, as truth values.
  public static func .>= (a: Tensor, b: Double) -> Tensor { Aten.geScalar(.tensor(a), .double(b)) }
  /// Both true, element-wise.
  public static func .& (a: Tensor, b: Tensor) -> Tensor { Aten.logicalAnd(.tensor(a), .tensor(b)) }
  /// Not true, element-wise.
  public static prefix func ! (a: Tensor) -> Tensor { Aten.logicalNot(.tensor(a)) }

  /// The absolute value.
  public func abs() -> Tensor { Aten.abs(.tensor(self)) }
  /// e to the power of each element.
  public func exp() -> Tensor { Aten.exp(.tensor(self)) }
  /// exp(x) - 1, accurate near 0.
  public func expm1() -> Tensor { Aten.expm1(.tensor(self)) }
  /// The natural logarithm.
  public func log() -> Tensor { Aten.log(.tensor(self)) }
  /// log(1 + x), accurate near 0.
  public func log1p() -> Tensor { Aten.log1p(.tensor(self)) }
  /// The square root.
  public func sqrt() -> Tensor { Aten.sqrt(.tensor(self)) }
  /// One over the square root.
  public func rsqrt() -> Tensor { Aten.rsqrt(.tensor(self)) }
  /// The sine.
  public func sin() -> Tensor { Aten.sin(.tensor(self)) }
  /// The cosine.
  public func cos() -> Tensor { Aten.cos(.tensor(self)) }
  /// Each element to the power of `exponent`.
  public func pow(_ exponent: Double) -> Tensor { Aten.pow(.tensor(self), .double(exponent)) }
  /// The largest integer not above.
  public func floor() -> Tensor { Aten.floor(.tensor(self)) }
  /// The nearest integer, halves to even.
  public func round() -> Tensor { Aten.round(.tensor(self)) }
  /// -1, 0 or 1.
  public func sign() -> Tensor { Aten.sign(.tensor(self)) }
  /// Where elements are not a number, as truth values.
  public func isNaN() -> Tensor { Aten.isnan(.tensor(self)) }
  /// Where elements are neither infinite nor not a number, as truth values.
  public func isFinite() -> Tensor { Aten.isfinite(.tensor(self)) }
  /// Elements limited to `low...high`.
  public func clamped(_ low: Double?, _ high: Double?) -> Tensor {
    Aten.clamp(.tensor(self), low.map(Argument.double) ?? .none, high.map(Argument.double) ?? .none)
  }

  /// The matrix product of the last two dimensions; the others are broadcast.
  public func matmul(_ other: Tensor) -> Tensor {
    let result = Aten.matmul(.tensor(self), .tensor(other))
    OperationCounter.add(result.count * size(-1))
    return result
  }

  /// Adds `other` times `scale` to this tensor's own memory.
  public func add(_ other: Tensor, scale: Double = 1) {
    // Integers refuse a real factor, even 1.
    Aten.addInPlace(.tensor(self), .tensor(other), scale == 1 ? .automatic : .double(scale))
  }
  /// Multiplies this tensor's own memory by a number.
  public func multiply(by factor: Double) { Aten.mulScalarInPlace(.tensor(self), .double(factor)) }
  /// Multiplies this tensor's own memory by a tensor.
  public func multiply(by factor: Tensor) { Aten.mulInPlace(.tensor(self), .tensor(factor)) }
  /// Copies `source` into this tensor's own memory, converting its type.
  public func copy(from source: Tensor) { Aten.copy(.tensor(self), .tensor(source)) }
  /// Writes one value everywhere in this tensor's own memory.
  public func fill(_ value: Double) { Aten.fillInPlace(.tensor(self), .double(value)) }
}

/// The element-wise larger.
public func maximum(_ a: Tensor, _ b: Tensor) -> Tensor { Aten.maximum(.tensor(a), .tensor(b)) }

/// The element-wise smaller.
public func minimum(_ a: Tensor, _ b: Tensor) -> Tensor { Aten.minimum(.tensor(a), .tensor(b)) }

/// A sum of products of the tensors, written with letters for dimensions.
public func einsum(_ equation: StaticString, _ tensors: Tensor...) -> Tensor {
  Aten.einsum(.string(equation), .tensors(tensors))
}
