extension Tensor {
  /// The same values on another device, without waiting for what the device is at.
  ///
  /// What goes to a GPU goes by way of memory that the GPU reads by itself, so that the caller may go on at once.
  ///
  /// - Parameters:
  ///   - device: where the values are to be.
  ///   - format: their order in memory there.
  /// - Returns: this tensor itself if nothing changes.
  public func sent(to device: Device, format: MemoryFormat? = nil) -> Tensor {
    guard case .cuda = device, self.device == .cpu else { return to(device: device, format: format) }
    let own = Aten.pinMemory(.tensor(contiguous()))
    let theirs = Aten.to(
      .tensor(own), .none, .none, .device(device), .none, .bool(true), .bool(false), .none)
    return format.map { theirs.contiguous($0) } ?? theirs
  }
}
