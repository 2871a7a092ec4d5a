public import Torch

/// The compiled kernels in the sizes, types and layouts that they are compared in.
public enum KernelChecks {
  /// The maps' sizes: one pixel, one row, odd ones, and more than the fast memory of a processor holds.
  static let sizes = [(1, 1), (1, 9), (7, 7), (5, 11), (14, 14), (31, 33), (56, 56), (128, 312)]
  static let states = [1, 2, 16]
  static let channels = [8, 12, 96]
  static let types: [DType] = [.float64, .float32, .float16, .bfloat16]

  /// All comparisons on a device. Those of a GPU begin with the CPU's in float64, which stand in for the definition where
  /// that takes too long.
  public static func all(on device: Device) -> [any KernelCheck] {
    let own = scans2D(sizes, channels, types) + rows() + scans(sizes.map { $0.0 * $0.1 }, channels, types)
    if device == .cpu { return own }
    let short = sizes.filter { $0.0 * $0.1 <= longestDefinition }
    let doubles =
      scans2D(short, channels, [.float64]) + scans(short.map { $0.0 * $0.1 }, channels, [.float64])
    return doubles.map { OnCPU(check: $0) } + own + maps() + passes()
  }

  /// A few small comparisons of every kernel and type.
  public static func few() -> [any KernelCheck] {
    scans2D([(1, 9), (5, 11)], [8], types) + scans([9, 55], [8], types) + Array(rows().prefix(12))
  }

  private static func scans2D(
    _ sizes: [(Int, Int)], _ channels: [Int], _ types: [DType]
  ) -> [any KernelCheck] {
    var checks: [any KernelCheck] = []
    for (index, size) in sizes.enumerated() {
      for (offset, count) in states.enumerated() {
        let isLong = size.0 * size.1 > longestDefinition
        for channels in spread(channels, index + offset, all: size == (7, 7) || size == (14, 14)) {
          for dtype in types {
            for layout in KernelLayout.ofMaps {
              checks.append(
                Scan2DCheck(
                  batch: isLong ? 1 : 2, height: size.0, width: size.1,
                  channels: size.0 * size.1 > 10_000 ? min(channels, 12) : channels, states: count,
                  dtype: dtype, layout: layout))
            }
          }
        }
      }
    }
    return checks
  }

  /// The 2-D scan of maps whose channels fill vectors, from rows as models on a GPU make them.
  private static func rows() -> [any KernelCheck] {
    sizes.enumerated().flatMap { index, size in
      states.flatMap { count in
        types.map { dtype in
          let isLong = size.0 * size.1 > longestDefinition
          return Scan2DCheck(
            batch: isLong ? 1 : 2, height: size.0, width: size.1,
            channels: size.0 * size.1 > 10_000 ? 8 : [96, 24, 8][index % 3], states: count, dtype: dtype,
            layout: .paddedRows)
        }
      }
    }
  }

  private static func scans(_ lengths: [Int], _ channels: [Int], _ types: [DType]) -> [any KernelCheck] {
    var checks: [any KernelCheck] = []
    for (index, length) in lengths.enumerated() {
      for (offset, count) in states.enumerated() {
        for channels in spread(channels, index + offset, all: length == 49) {
          for dtype in types {
            for layout in KernelLayout.ofMaps {
              checks.append(
                SelectiveScanCheck(
                  batch: 2, length: length, channels: length > 10_000 ? min(channels, 12) : channels,
                  groups: [1, 2, 4][(index + offset) % 3], states: count, dtype: dtype, layout: layout))
            }
          }
        }
      }
    }
    return checks
  }

  /// The operators on maps, which a GPU has.
  private static func maps() -> [any KernelCheck] {
    var operations: [MapCheck.Operation] = [.norm, .scaledSum, .join(reorders: false), .join(reorders: true)]
    for window in [3, 5, 7] {
      operations += [
        .depthwise(window: window, stride: 1, addsInput: true, .identity),
        .depthwise(window: window, stride: 1, addsInput: false, .silu),
        .depthwise(window: window, stride: 2, addsInput: false, .identity),
      ]
    }
    operations += [FusedActivation.relu, .gelu, .geluTanh].map {
      .depthwise(window: 3, stride: 1, addsInput: true, $0)
    }
    // One channel more than whole vectors have, too.
    let channels = self.channels + [7]
    var checks: [any KernelCheck] = []
    for (offset, operation) in operations.enumerated() {
      for (index, size) in sizes.enumerated() {
        let count = channels[(index + offset) % channels.count]
        // The kernels copy maps that lie otherwise, which one size shows.
        let layouts = size == (5, 11) ? KernelLayout.ofMaps : [.channelsLast]
        for dtype in types {
          for layout in layouts {
            checks.append(
              MapCheck(
                operation: operation, height: size.0, width: size.1,
                channels: size.0 * size.1 > 10_000 ? min(count, 12) : count, dtype: dtype, layout: layout))
          }
        }
      }
    }
    return checks
  }

  /// Small passes around products and convolutions, which a GPU has.
  private static func passes() -> [any KernelCheck] {
    let attention: [any KernelCheck] = types.flatMap { dtype in
      [(12, 1), (96, 4), (96, 1), (40, 8)].map { channels, groups in
        GroupSoftmaxCheck(channels: channels, groups: groups, dtype: dtype)
      }
    }
    let activations: [FusedActivation] = [.identity, .relu, .gelu, .geluTanh, .silu]
    return attention
      + types.flatMap { dtype in
        activations.enumerated().map { index, activation in
          let size = sizes[(index + 2) % 6]
          return BiasCheck(
            height: size.0, width: size.1, channels: (channels + [7])[index % 4], activation: activation,
            dtype: dtype)
        }
      }
  }

  /// One of the values, another for each index, or all of them: every pair of settings meets without every triple.
  private static func spread(_ values: [Int], _ index: Int, all: Bool) -> [Int] {
    all ? values : [values[index % values.count]]
  }
}

/// A comparison that runs on the CPU wherever the others do.
private struct OnCPU: KernelCheck {
  let check: any KernelCheck

  var kernel: String { "cpu/\(check.kernel)" }
  var detail: String { check.detail }
  var dtype: DType { check.dtype }
  var truthKey: String { check.truthKey }
  func truth() -> [KernelOutput] { check.truth() }
  func computed(on device: Device) -> [KernelOutput] { check.computed(on: .cpu) }
}
