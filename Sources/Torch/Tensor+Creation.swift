import CTorch

extension Tensor {
  /// A tensor of the values, in row-major order.
  ///
  /// - Parameters:
  ///   - values: the elements.
  ///   - shape: the sizes; their product must be the number of values. One dimension if absent.
  public init<Element: TensorElement>(_ values: [Element], _ shape: [Int]? = nil) {
    let shape = shape ?? [values.count]
    require(
      shape.reduce(1, *) == values.count, "Tensor: \(values.count) values do not fill the shape \(shape)")
    let sizes = shape.map(Int64.init)
    self = values.withUnsafeBytes { bytes in
      Tensor(
        ct_from_bytes(bytes.baseAddress, sizes, Int32(sizes.count), Element.dtype.rawValue),
        "Tensor of shape \(shape)")
    }
  }

  /// A tensor of no dimensions.
  public init<Element: TensorElement>(_ value: Element) { self.init([value], []) }

  /// A tensor of elements given as bytes in the host's byte order, row-major.
  public init(bytes: UnsafeRawBufferPointer, _ shape: [Int], dtype: DType) {
    require(
      shape.reduce(dtype.byteCount, *) == bytes.count,
      "Tensor: \(bytes.count) bytes do not fill the shape \(shape) of \(dtype)")
    let sizes = shape.map(Int64.init)
    self.init(
      ct_from_bytes(bytes.baseAddress, sizes, Int32(sizes.count), dtype.rawValue), "Tensor of shape \(shape)")
  }

  /// Zeros.
  public static func zeros(_ shape: [Int], dtype: DType = .float32, device: Device = .cpu) -> Tensor {
    Aten.zeros(.ints(shape), .dtype(dtype), .automatic, .device(device))
  }

  /// Ones.
  public static func ones(_ shape: [Int], dtype: DType = .float32, device: Device = .cpu) -> Tensor {
    full(shape, 1, dtype: dtype, device: device)
  }

  /// One value everywhere.
  public static func full(
    _ shape: [Int], _ value: Double, dtype: DType = .float32, device: Device = .cpu
  ) -> Tensor {
    Aten.full(.ints(shape), .double(value), .dtype(dtype), .automatic, .device(device))
  }

  /// `start`, `start + step`, … below `end`.
  public static func arange(
    _ start: Double = 0, to end: Double, step: Double = 1, dtype: DType = .float32, device: Device = .cpu
  ) -> Tensor {
    Aten.arange(.double(start), .double(end), .double(step), .dtype(dtype), .automatic, .device(device))
  }

  /// Numbers drawn uniformly from `[low, high)`.
  public static func uniform(
    _ shape: [Int], low: Double = 0, high: Double = 1, generator: Generator, dtype: DType = .float32,
    device: Device = .cpu
  ) -> Tensor {
    let unit = Aten.rand(.ints(shape), .generator(generator), .dtype(dtype), .automatic, .device(device))
    return low == 0 && high == 1 ? unit : unit * (high - low) + low
  }

  /// Numbers drawn from the normal distribution of that mean and standard deviation.
  public static func normal(
    _ shape: [Int], mean: Double = 0, deviation: Double = 1, generator: Generator, dtype: DType = .float32,
    device: Device = .cpu
  ) -> Tensor {
    let unit = Aten.randn(.ints(shape), .generator(generator), .dtype(dtype), .automatic, .device(device))
    return mean == 0 && deviation == 1 ? unit : unit * deviation + mean
  }

  /// The integers `0..<count` in random order.
  public static func permutation(_ count: Int, generator: Generator) -> Tensor {
    Aten.randperm(.int(count), .generator(generator))
  }

  /// Ones with probability `probability`, else zeros, in this tensor's shape and type.
  public func bernoulli(_ probability: Double, generator: Generator) -> Tensor {
    Aten.bernoulliP(.tensor(self), .double(probability), .generator(generator))
  }

  /// Zeros of this tensor's shape, type and device.
  public func zerosLike() -> Tensor { Tensor.zeros(shape, dtype: dtype, device: device) }

  /// The same values on another device, in another type or order in memory; this tensor itself if nothing changes.
  ///
  /// - Parameters:
  ///   - device: where the copy lives; this tensor's device if absent.
  ///   - dtype: the copy's type; this tensor's if absent.
  ///   - format: the copy's order in memory; this tensor's if absent.
  ///   - nonBlocking: whether a copy from the CPU to a GPU goes on after the call, as the GPU's other work does.
  /// - Returns: the tensor.
  public func to(
    device: Device? = nil, dtype: DType? = nil, format: MemoryFormat? = nil, nonBlocking: Bool = false
  ) -> Tensor {
    if device ?? self.device == self.device && dtype ?? self.dtype == self.dtype && format == nil {
      return self
    }
    return Aten.to(
      .tensor(self), dtype.map(Argument.dtype) ?? .none, .none, device.map(Argument.device) ?? .none, .none,
      .bool(nonBlocking), .bool(false), format.map(Argument.format) ?? .none)
  }

  /// The same values in another type.
  public func to(_ dtype: DType) -> Tensor { to(dtype: dtype) }

  /// A copy with memory of its own.
  public func clone() -> Tensor { Aten.clone(.tensor(self)) }

  /// This tensor with its elements in that order without gaps; a copy only if they are not.
  public func contiguous(_ format: MemoryFormat = .contiguous) -> Tensor {
    isContiguous(format) ? self : Aten.contiguous(.tensor(self), .format(format))
  }
}
