import Randomness
import TestSupport
import Testing
import Torch

@Suite struct DeterministicFillTests {
  struct Sample {
    let key: String, hash: UInt64, index: Int, low: Double, high: Double, value: Float
  }

  @Test(arguments: [
    Sample(
      key: "input:1x3x224x224", hash: 0xeba6_8987_44f2_f59b, index: 0, low: -2, high: 2, value: -0.857594967),
    Sample(
      key: "patch_embed.0.weight", hash: 0x31d6_b6f9_b20e_7169, index: 5, low: -1 / 3, high: 1 / 3,
      value: -0.0943855867),
    Sample(
      key: "layers.0.blocks.0.op.A_logs", hash: 0x33de_93bb_246b_be0f, index: 700, low: 0, high: 1.5,
      value: 1.38001704),
  ])
  func publishedSamples(_ sample: Sample) {
    #expect(CounterRandom.hash(sample.key) == sample.hash)
    let filled = Tensor.filled([sample.index + 1], key: sample.key, low: sample.low, high: sample.high)
    #expect(filled.array(Float.self)[sample.index] == sample.value)
  }

  @Test func agreesWithTheCounterAtEveryPosition() {
    var random = CounterRandom(state: CounterRandom.hash("k"))
    let expected = (0..<24).map { _ in Float(-0.3 + (0.7 - -0.3) * (Double(random.next() >> 40) * 0x1p-24)) }
    let filled = Tensor.filled([2, 3, 4], key: "k", low: -0.3, high: 0.7)
    expectShape(filled, [2, 3, 4])
    #expect(filled.array(Float.self) == expected)
  }

  @Test func wideningKeepsTheRoundedValue() {
    let narrow = Tensor.filled([100], key: "w")
    let wide = Tensor.filled([100], key: "w", dtype: .float64)
    #expect(wide.dtype == .float64)
    expectClose(wide, narrow.to(.float64), 0)
  }

  @Test func degenerateShapes() {
    expectShape(Tensor.filled([0, 3], key: "e"), [0, 3])
    expectShape(Tensor.filled([], key: "s"), [])
  }
}
