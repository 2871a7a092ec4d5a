import Torch

/// Times calls on a device by the clock that fits it.
struct DeviceTimer {
  let device: Device
  /// The seconds that calls are to fill.
  let duration: Double
  /// The number of calls, instead.
  var iterations: Int?

  private let clock = ContinuousClock()

  init(device: Device, duration: Double, iterations: Int? = nil) {
    (self.device, self.duration, self.iterations) = (device, duration, iterations)
  }

  /// The seconds of each call, at least three if their number is not given, after at least one that does not count and as many
  /// as fill the warm-up's seconds.
  func latencies(after warmUp: Double, _ call: () -> Void) -> [Double] {
    let begin = clock.now
    repeat {
      call()
      device.synchronize()
    } while clock.now - begin < .seconds(warmUp)
    return times(call).latencies
  }

  /// The seconds of each call by the device's clock, and on a GPU also by the wall's, until the caller knows that it is done.
  func times(_ call: () -> Void) -> (latencies: [Double], wall: [Double]?) {
    var (latencies, wall): ([Double], [Double]) = ([], [])
    let begin = clock.now
    while !isEnough(wall.count, clock.now - begin) {
      let start = clock.now
      if device == .cpu {
        call()
      } else {
        let before = DeviceMoment(on: device)
        call()
        latencies.append(DeviceMoment(on: device).seconds(since: before))
      }
      wall.append((clock.now - start) / .seconds(1))
    }
    return device == .cpu ? (wall, nil) : (latencies, wall)
  }

  private func isEnough(_ calls: Int, _ time: Duration) -> Bool {
    if let iterations { return calls >= iterations }
    return calls >= 3 && time >= .seconds(duration)
  }
}
