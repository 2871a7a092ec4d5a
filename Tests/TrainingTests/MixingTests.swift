import TestSupport
import Testing
import Torch
import Training

@Suite struct MixingTests {
  private func mixing(_ change: (inout Recipe.Mixing) -> Void) -> Mixing {
    var recipe = Recipe()
    change(&recipe.mixing)
    return Mixing(recipe)
  }

  private let pictures = Tensor((0..<16).map(Float.init), [2, 1, 2, 4])

  @Test func mixupByHand() {
    let mixed = Mixing.mix(pictures, .mixup(share: 0.75))
    let first = (0..<8).map { 0.75 * Double($0) + 0.25 * Double($0 + 8) }
    let second = (0..<8).map { 0.75 * Double($0 + 8) + 0.25 * Double($0) }
    expectEqual(mixed, first + second, [2, 1, 2, 4], "mixup")
  }

  @Test func cutmixByHand() {
    let mixed = Mixing.mix(pictures, .cutmix(rows: 1..<2, columns: 1..<3, share: 0.75))
    expectEqual(
      mixed, [0, 1, 2, 3, 4, 13, 14, 7, 8, 9, 10, 11, 12, 5, 6, 15], [2, 1, 2, 4], "CutMix")
    expectEqual(pictures, (0..<16).map(Double.init), [2, 1, 2, 4], "the input")
  }

  // off = 0.2 / 4 = 0.05, on = 0.8 + 0.05 = 0.85.
  @Test func targetsByHand() {
    let targets = Mixing.targets(Tensor([1, 3]), classes: 4, share: 0.75, smoothing: 0.2)
    expectClose(
      targets, [0.05, 0.65, 0.05, 0.25, 0.05, 0.25, 0.05, 0.65], 1e-6, "targets")
  }

  @Test func theLossOfUnmixedTargetsIsThatOfLabels() {
    let logits = Tensor.filled([3, 4], key: "logits", dtype: .float32)
    let labels = Tensor([0, 2, 3])
    let targets = Mixing.targets(labels, classes: 4, share: 1, smoothing: 0.1)
    expectClose(
      logits.crossEntropy(targets), logits.crossEntropy(labels, smoothing: 0.1), 1e-6, "cross-entropy")
  }

  @Test func drawsAreAFunctionOfSeedAndStep() {
    let mixing = mixing { ($0.mixup, $0.cutmix) = (0.8, 1) }
    let draws = (0..<50).map { mixing.draw(step: $0, height: 32, width: 48) }
    #expect(draws == (0..<50).map { mixing.draw(step: $0, height: 32, width: 48) })
    #expect(Set(draws).count == 50)
  }

  @Test func sharesAndRectanglesAgree() {
    let mixing = mixing { ($0.mixup, $0.cutmix) = (0.8, 1) }
    var cuts = 0
    for step in 0..<2000 {
      let draw = mixing.draw(step: step, height: 32, width: 48)
      #expect((0...1).contains(draw.share))
      guard case .cutmix(let rows, let columns, let share) = draw else { continue }
      cuts += 1
      #expect(
        rows.lowerBound >= 0 && rows.upperBound <= 32 && columns.lowerBound >= 0 && columns.upperBound <= 48)
      #expect(share == 1 - Double(rows.count * columns.count) / (32 * 48))
    }
    // Half of 2000, within five standard deviations (22).
    #expect(abs(cuts - 1000) < 112)
  }

  // Beta(α, α) has mean 1/2 and variance 1 / (4 (2α + 1)).
  @Test(arguments: [0.2, 0.8, 1, 4]) func sharesHaveTheMomentsOfBeta(alpha: Double) {
    let mixing = mixing { $0.mixup = alpha }
    let count = 4000.0
    let shares = (0..<Int(count)).map { mixing.draw(step: $0, height: 8, width: 8).share }
    let mean = shares.reduce(0, +) / count
    let variance = shares.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / count
    let expected = 1 / (4 * (2 * alpha + 1))
    #expect(abs(mean - 0.5) < 5 * (expected / count).squareRoot())
    #expect(abs(variance / expected - 1) < 0.1)
  }

  @Test func probabilityDecidesWhichBatchesAreMixed() {
    let mixing = mixing { ($0.cutmix, $0.probability) = (1, 0.25) }
    let plain = (0..<2000).count { mixing.draw(step: $0, height: 8, width: 8) == .none }
    #expect(abs(plain - 1500) < 97)
    #expect(self.mixing { $0.probability = 1 }.draw(step: 0, height: 8, width: 8) == .none)
  }
}
