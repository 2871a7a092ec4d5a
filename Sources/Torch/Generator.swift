import CTorch

/// A stream of random numbers with its own seed, for the operators that draw.
public final class Generator {
  let pointer: OpaquePointer

  /// A stream that starts at `seed`.
  public init(seed: UInt64, device: Device = .cpu) {
    guard let pointer = ct_generator_create(seed, device.type, device.index) else {
      fatalError("generator on \(device): \(String(cString: ct_last_error()))")
    }
    self.pointer = pointer
  }

  deinit { ct_generator_release(pointer) }

  /// Starts the stream again at `seed`.
  public func reseed(_ seed: UInt64) { requireSuccess(ct_generator_seed(pointer, seed), "reseed") }
}
