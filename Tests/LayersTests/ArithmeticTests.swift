import Layers
import TestSupport
import Testing
import Torch

@Suite struct LayerArithmetic {
  private let x = Tensor.filled([2, 4, 5, 6], key: "x", dtype: .float64)

  private func store() -> ParameterStore { ParameterStore(seed: 5, dtype: .float64) }

  private func fill(_ store: ParameterStore) {
    withoutGradients {
      for entry in store.entries where entry.tensor.dtype.isFloatingPoint {
        let isVariance = entry.key.hasSuffix("running_var")
        entry.tensor.copy(
          from: .filled(entry.tensor.shape, key: entry.key, low: isVariance ? 0.5 : -1, dtype: .float64))
      }
    }
  }

  @Test func anAbsentLayerIsTheIdentity() {
    let none: Linear? = nil
    #expect(none(x).isSame(as: x))
    let layer = Linear(store().root, 6, 3)
    expectClose(Optional(layer)(x), layer(x), 0)
    let activation: Activation? = nil
    #expect(activation(x).isSame(as: x))
  }

  @Test func linearIsAProductAndASum() throws {
    let store = store()
    let layer = Linear(store.root, 6, 3)
    fill(store)
    let expected = x.matmul(try #require(layer.weight).transpose(0, 1)) + store.root.store.entries[1].tensor
    expectClose(layer(x), expected, 1e-14)
    #expect(Linear(self.store().root, 6, 3, bias: false).bias == nil)
  }

  @Test(arguments: [(1, 1, 1), (3, 1, 1), (3, 2, 1), (5, 1, 4), (4, 4, 2)])
  func convolutionByShiftedProducts(_ kernel: Int, _ stride: Int, _ groups: Int) throws {
    let store = store()
    let layer = Conv2d(store.root, 4, 8, kernel: kernel, stride: stride, groups: groups)
    fill(store)
    let (weights, bias) = (try #require(layer.weight), try #require(layer.bias))
    let padding = kernel / 2
    let (H, W) = ((5 + 2 * padding - kernel) / stride + 1, (6 + 2 * padding - kernel) / stride + 1)
    let padded = x.padded([padding, padding, padding, padding])
    var rows: [Tensor] = []
    for output in 0..<8 {
      let first = output / (8 / groups) * (4 / groups)
      var sum = Tensor.zeros([2, H, W], dtype: .float64) + bias.select(0, output)
      for (input, i, j) in product(4 / groups, kernel, kernel) {
        let weight = weights.select(0, output).select(0, input).select(0, i).select(0, j)
        let rows = Tensor((0..<H).map { $0 * stride + i }), columns = Tensor((0..<W).map { $0 * stride + j })
        sum = sum + padded.select(1, first + input).indexSelect(1, rows).indexSelect(2, columns) * weight
      }
      rows.append(sum)
    }
    expectClose(layer(x), stack(rows, along: 1), 1e-13, "kernel \(kernel) stride \(stride) groups \(groups)")
  }

  private func product(_ a: Int, _ b: Int, _ c: Int) -> [(Int, Int, Int)] {
    (0..<a).flatMap { i in (0..<b).flatMap { j in (0..<c).map { (i, j, $0) } } }
  }

  @Test func aResidualConvolutionAddsItsInput() {
    let store = store()
    let layer = ResidualDepthwiseConv(store.root["dwconv"], 4, kernel: 3)
    let other = self.store()
    let conv = Conv2d(other.root["dwconv"], 4, 4, kernel: 3, groups: 4)
    #expect(store.entries.map(\.key) == ["dwconv.weight", "dwconv.bias"])
    fill(store)
    fill(other)
    expectClose(layer(x), x + conv(x), 1e-14)
  }

  @Test func aConvolutionNormAndActivationInTurn() {
    let (store, other) = (store(), store())
    let fused = ConvNorm(
      conv: store.root[0], norm: store.root[1], 4, 6, kernel: 3, stride: 2, groups: 2, activation: .gelu)
    let conv = Conv2d(other.root[0], 4, 6, kernel: 3, stride: 2, groups: 2, bias: false)
    let norm = BatchNorm2d(other.root[1], 6)
    #expect(store.entries.map(\.key) == other.entries.map(\.key))
    fill(store)
    fill(other)
    expectClose(fused(x), norm(conv(x)).gelu(), 1e-14)
  }

  @Test func aResidualScalesItsShortcut() {
    let store = store()
    let path = DropPath(store.root["drop_path_1"], rate: 0)
    let residual = ScaledResidual(scale: (store.root["layerscale_1"], 0.5), dropPath: path, 4)
    #expect(store.entries.map(\.key) == ["layerscale_1.weight", "layerscale_1.bias"])
    #expect(store["layerscale_1.weight"]?.tensor.shape == [4, 1, 1, 1])
    let branch = Tensor.filled(x.shape, key: "branch", dtype: .float64)
    expectClose(residual(x, branch), x * 0.5 + branch, 1e-15)
    withoutGradients { store["layerscale_1.bias"]?.tensor.copy(from: Tensor([1.0, 2, 3, 4])) }
    expectClose(residual(x, branch), x * 0.5 + Tensor([1.0, 2, 3, 4], [1, 4, 1, 1]) + branch, 1e-15)
    expectClose(ScaledResidual(scale: nil, dropPath: path, 4)(x, branch), x + branch, 0)
  }

  @Test(arguments: [
    (Activation.relu, [0.0, 0, 1.5]), (.gelu, [-0.0455002638963584, 0, 1.39978919809671]),
    (.geluTanh, [-0.0454023059122999, 0, 1.39957157698023]),
    (.silu, [-0.238405844044235, 0, 1.22636171429157]),
  ])
  func activations(_ activation: Activation, _ expected: [Double]) {
    expectClose(activation(Tensor([-2.0, 0, 1.5])), Tensor(expected), 1e-12)
  }

  @Test func indivisibleGroupsTrap() async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Conv2d(ParameterStore().root["stem"], 4, 6, kernel: 3, groups: 3)
    }
    let message = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
    #expect(message.contains("Conv2d `stem`: 4 and 6 channels do not divide into 3 groups"))
  }
}
