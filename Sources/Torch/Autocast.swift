import CTorch

/// The automatic casts of a thread for one device.
struct AutocastState {
  let device: Device
  let isEnabled: Bool
  let dtype: Int32

  static func current(_ device: Device) -> AutocastState {
    AutocastState(
      device: device, isEnabled: ct_autocast_enabled(device.type), dtype: ct_autocast_dtype(device.type))
  }

  func run<Result>(_ body: () throws -> Result) rethrows -> Result {
    let before = AutocastState.current(device)
    let status = ct_autocast_enter(device.type, isEnabled, dtype)
    requireSuccess(status, "autocast on \(device)")
    defer {
      if status == 0 {
        requireSuccess(
          ct_autocast_leave(device.type, before.isEnabled, before.dtype), "autocast on \(device)")
      }
    }
    return try body()
  }
}

/// Runs `body` with matrix products and convolutions on `device` in a half-width type, and what needs range in
/// float32.
///
/// - Parameters:
///   - dtype: `.bfloat16` or `.float16`; `nil` turns automatic casts off.
///   - device: the device whose operators are cast.
///   - body: runs with those casts; synchronous, since the casts belong to the current thread.
/// - Returns: what `body` returns.
/// - Throws: what `body` throws.
public func withAutocast<Result>(_ dtype: DType?, on device: Device, _ body: () throws -> Result) rethrows
  -> Result
{
  let fallback = AutocastState.current(device).dtype
  return try AutocastState(device: device, isEnabled: dtype != nil, dtype: dtype?.rawValue ?? fallback).run(
    body)
}
