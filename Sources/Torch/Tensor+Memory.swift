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
      let address = tensor.count == 0 ? nil : ct_data(tensor.pointer)
      try body(UnsafeMutableRawBufferPointer(start: address, count: address == nil ? 0 : tensor.byteCount))
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
      let address = source.count == 0 ? nil : ct_data(source.pointer)
      return try body(UnsafeRawBufferPointer(start: address, count: address == nil ? 0 : source.byteCount))
    }
  }
}
