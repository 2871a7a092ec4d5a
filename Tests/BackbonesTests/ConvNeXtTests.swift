import Layers
import TestSupport
import Testing
import Torch

@testable import Backbones

@Suite struct ConvNeXtTests {
  /// The network is the identity but for its branches' scale, which starts at a millionth.
  @Test func branchesStartSmall() throws {
    let model = Architecture.convNeXtTiny.makeModel(device: .meta)
    let scales = model.store.entries.filter { $0.key.hasSuffix(".gamma") }
    #expect(scales.count == 18)
    let store = ParameterStore(dtype: .float64)
    let configuration = ConvNeXt.Configuration(depths: [1], widths: [8])
    let block = ConvNeXtBlock(store.root, 8, configuration, dropPath: 0)
    let x = Tensor.filled([1, 8, 9, 7], key: "x", low: -1, high: 1, dtype: .float64)
    withoutGradients {
      let branch = block(x) - x
      #expect(branch.abs().max().item() < 1e-6)
      #expect(branch.abs().max().item() > 0)
    }
  }

  @Test func aPlainBranchHasNoScale() {
    var configuration = ConvNeXt.Configuration(depths: [1], widths: [8])
    configuration.branchScale = nil
    let (scaled, plain) = (ParameterStore(seed: 1, dtype: .float64), ParameterStore(seed: 1, dtype: .float64))
    let unscaled = ConvNeXtBlock(plain.root, 8, configuration, dropPath: 0)
    configuration.branchScale = 0.25
    let block = ConvNeXtBlock(scaled.root, 8, configuration, dropPath: 0)
    #expect(plain["gamma"] == nil && scaled["gamma"] != nil)
    let x = Tensor.filled([1, 8, 9, 7], key: "x", low: -1, high: 1, dtype: .float64)
    withoutGradients { expectClose(block(x) - x, (unscaled(x) - x) * 0.25, 1e-12) }
  }

  /// B has the depths of S, so the tensors of both differ in size alone.
  @Test func baseHasTheTensorsOfSmall() {
    let (base, small) = (
      Architecture.convNeXtBase.makeModel(device: .meta), Architecture.convNeXtSmall.makeModel(device: .meta)
    )
    #expect(base.store.entries.map(\.key) == small.store.entries.map(\.key))
    #expect(base.store["head.fc.weight"]?.tensor.shape == [1000, 1024])
  }

  @Test func dropPathRatesRiseOverTheWholeNetwork() {
    var configuration = ConvNeXt.Configuration(depths: [1, 2, 2], widths: [8, 8, 8])
    configuration.dropPath = 0.4
    let rates = configuration.dropPathRates
    #expect(rates.map(\.count) == [1, 2, 2])
    for (rate, expected) in zip(rates.joined(), [0, 0.1, 0.2, 0.3, 0.4]) {
      #expect(abs(rate - expected) < 1e-15)
    }
    configuration.depths = [1]
    #expect(configuration.dropPathRates == [[0]])
  }
}
