import Layers
import TestSupport
import Testing
import Torch

private let reference = try? Fixture("drop_path", in: .module)

@Suite struct DropPathTests {
  private func layer(rate: Double, seed: UInt64 = 3, key: String = "drop_path_1", step: UInt64 = 0)
    -> DropPath
  {
    let store = ParameterStore(seed: seed)
    store.mode.isTraining = true
    store.mode.step = step
    return DropPath(store.root[key], rate: rate)
  }

  /// Which of `count` samples a layer keeps.
  private func kept(_ layer: DropPath, _ count: Int = 64) -> [Bool] {
    layer(.ones([count, 2])).select(1, 0).array(Double.self).map { $0 != 0 }
  }

  @Test(arguments: reference?.cases.filter { $0.name != "rules" } ?? [])
  func semanticsOfTheReference(_ expected: Fixture.Case) throws {
    let rate = try expected.content["drop_prob"].number()
    let x = try expected.input("x")
    let scale = try expected.content["scale_of_kept_rows"].number()
    // The reference's own draw: rows are x times the scale, or exactly zero.
    let rows = Tensor(try expected.content["kept_rows_of_this_draw"].numbers(), [x.size(0), 1])
    expectClose(x * rows * scale, try expected.output(), 1e-11)
    let output = layer(rate: rate)(x)
    for row in 0..<x.size(0) {
      let own = output.select(0, row)
      if own.abs().max().item() == 0 { continue }
      expectClose(own, x.select(0, row) * scale, 1e-6, "row \(row)")
    }
    let draws = kept(layer(rate: rate), 400)
    // Five standard errors.
    let slack = 5 * (rate * (1 - rate) * 400).squareRoot()
    #expect(abs(Double(draws.count { $0 }) - (1 - rate) * 400) < slack)
  }

  @Test func theReferenceIsThere() throws { #expect(try #require(reference).cases.count == 4) }

  @Test func identityOutsideTrainingAndAtRateZero() {
    let x = Tensor.filled([8, 2], key: "x")
    let store = ParameterStore()
    expectClose(DropPath(store.root, rate: 0.9)(x), x, 0)
    expectClose(layer(rate: 0)(x), x, 0)
  }

  @Test func drawsAreNamedBySeedStepAndKey() {
    let draws = kept(layer(rate: 0.5))
    #expect(kept(layer(rate: 0.5)) == draws)
    #expect(kept(layer(rate: 0.5, seed: 4)) != draws)
    #expect(kept(layer(rate: 0.5, key: "drop_path_2")) != draws)
    #expect(kept(layer(rate: 0.5, step: 1)) != draws)
  }

  @Test func recomputationSeesTheSameDraws() throws {
    let path = layer(rate: 0.5)
    let x = Tensor.filled([64, 2], key: "x", dtype: .float64).requiringGradient()
    let y = checkpoint([x], parameters: []) { [path($0[0])] }[0]
    y.sum().backward()
    // The derivative is the factor that the repeated pass drew.
    expectClose(try #require(x.gradient) * x.detached(), y.detached(), 1e-15)
  }

  @Test(arguments: [-0.1, 1.0]) func impossibleRatesTrap(_ rate: Double) async {
    await #expect(processExitsWith: .failure) { [rate] in
      _ = DropPath(ParameterStore().root, rate: rate)
    }
  }
}
