/// For each output position along one axis, the run of input positions that count and their weights.
///
/// Weights are integers of 22 fractional bits, as in Pillow, whose results are matched bit for bit: eight bits of
/// sample, two of headroom for the negative lobes, and 22 fill a 32-bit sum.
struct ResampleWindows {
  static let fractionBits: Int32 = 22

  let starts: [Int]
  let counts: [Int]
  /// `tapCount` weights for each output position; those after its count are zero.
  let weights: [Int32]
  let tapCount: Int

  /// The windows that map `start..<end` of `inputCount` positions to `outputCount`. Positions outside of the range
  /// but inside the input still count near its ends.
  init(inputCount: Int, start: Int, end: Int, outputCount: Int, filter: ResizeFilter) {
    let scale = Double(end - start) / Double(outputCount)
    let stretch = max(scale, 1)
    let radius = filter.radius * stretch
    tapCount = Int(radius.rounded(.up)) * 2 + 1
    var starts = [Int](repeating: 0, count: outputCount)
    var counts = starts
    var weights = [Int32](repeating: 0, count: outputCount * tapCount)
    var exact = [Double](repeating: 0, count: tapCount)
    for position in 0..<outputCount {
      let center = Double(start) + (Double(position) + 0.5) * scale
      let first = max(0, Int(center - radius + 0.5))
      let last = min(inputCount, Int(center + radius + 0.5))
      var total = 0.0
      for tap in 0..<(last - first) {
        exact[tap] = filter.weight(at: (Double(tap + first) - center + 0.5) / stretch)
        total += exact[tap]
      }
      let unit = (total == 0 ? 1 : 1 / total) * Double(1 << Self.fractionBits)
      for tap in 0..<(last - first) {
        weights[position * tapCount + tap] = Int32((exact[tap] * unit).rounded(.toNearestOrAwayFromZero))
      }
      starts[position] = first
      counts[position] = last - first
    }
    (self.starts, self.counts, self.weights) = (starts, counts, weights)
  }
}
