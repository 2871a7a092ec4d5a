extension SafeTensors {
  /// Reads the elements of one tensor.
  ///
  /// - Parameter name: one of ``names``.
  /// - Returns: a tensor on the CPU with memory of its own.
  /// - Throws: ``CheckpointError`` if there is no such tensor or the file cannot be read.
  public func tensor(_ name: String) throws -> Tensor {
    let entry = try find(name)
    return try Tensor(reading: entry.shape, entry.dtype) { try read(entry, into: $0) }
  }

  /// Reads all tensors, in the header's order.
  ///
  /// - Throws: ``CheckpointError`` if the file cannot be read.
  public func tensors() throws -> [(name: String, tensor: Tensor)] {
    try entries.map { ($0.name, try tensor($0.name)) }
  }
}

extension Tensor {
  /// A tensor of a stranger's bytes.
  init(
    reading shape: [Int], _ dtype: DType, _ body: (UnsafeMutableRawBufferPointer) throws -> Void
  ) rethrows {
    // A byte of a truth value may be anything in a stranger's file, but only 0 or 1 in memory.
    let tensor = try Tensor(shape, dtype: dtype == .bool ? .uint8 : dtype, writingBytes: body)
    self = dtype == .bool ? tensor .!= 0.0 : tensor
  }
}
