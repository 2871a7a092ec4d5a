import CTorch

extension Tensor {
  /// A tensor on the CPU whose memory `body` writes, without a copy in between.
  ///
  /// - Parameters:
  ///   - shape: the sizes.
  ///   - dtype: the type of the elements.
  ///   - body: writes all bytes, in row-major order and the host's byte order.
  /// - Throws: what `body` throws.
  public init(
    _ shape: [Int], dtype: DType, writingBytes body: (UnsafeMutableRawBufferPointer) throws -> Void
  ) rethrows {
    let sizes = shape.map(Int64.init)
    let tensor = Tensor(ct_empty(sizes, Int32(sizes.count), dtype.rawValue), "Tensor of shape \(shape)")
    if !isPoisoned {
      try body(UnsafeMutableRawBufferPointer(start: tensor.address, count: tensor.byteCount))
    }
    self = tensor
  }

  /// The bytes that the elements occupy.
  public var byteCount: Int { count * dtype.byteCount }

  /// Gives `body` the elements in row-major order and the host's byte order; a copy is made only if they lie
  /// otherwise or on another device.
  ///
  /// - Parameter body: reads the bytes, which are valid during the call.
  /// - Returns: what `body` returns.
  /// - Throws: what `body` throws.
  public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    let source = withoutGradients { detached().to(device: .cpu).contiguous() }
    return try withExtendedLifetime(source) {
      try body(UnsafeRawBufferPointer(start: source.address, count: source.byteCount))
    }
  }

  /// Where the first element of a tensor on the CPU lies; `nil` if it has none.
  private var address: UnsafeMutableRawPointer? {
    if count == 0 { return nil }
    guard let address = ct_data(pointer) else {
      fatalError("memory of \(summary): \(String(cString: ct_last_error()))")
    }
    return address
  }
}
