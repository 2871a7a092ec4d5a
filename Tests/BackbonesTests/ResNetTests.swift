import Layers
import TestSupport
import Testing
import Torch

@testable import Backbones

@Suite struct ResNetTests {
  /// A shortcut is projected in the first block of each stage: by width in stage 1, by size too in the others.
  @Test func shortcutsAreProjectedWhereSizesDiffer() {
    let model = Architecture.resNet50.makeModel(device: .meta)
    let projections = model.store.entries.map(\.key).filter { $0.hasSuffix("downsample.0.weight") }
    #expect(projections == (1...4).map { "layer\($0).0.downsample.0.weight" })
    let store = ParameterStore()
    _ = Bottleneck(store.root, 16, 16, stride: 1, dropPath: 0)
    #expect(!store.entries.contains { $0.key.hasPrefix("downsample") })
  }

  /// The 3x3 convolution takes the stride, so every pixel of the input counts.
  @Test func theStrideIsInTheMiddle() {
    let store = ParameterStore(dtype: .float64)
    let block = Bottleneck(store.root, 8, 16, stride: 2, dropPath: 0)
    let x = Tensor.filled([1, 8, 7, 6], key: "x", low: -1, high: 1, dtype: .float64)
    withoutGradients {
      let y = block(x)
      #expect(y.shape == [1, 16, 4, 3])
      let changed = x.clone()
      changed.select(2, 1).copy(from: changed.select(2, 1) + 1)
      #expect(relativeError(block(changed), y) > 1e-3)
    }
  }

  /// He's normal keeps the size of gradients: its variance is 2 by the outputs that a value goes to.
  @Test func convolutionsStartAsHeNormal() throws {
    let store = ParameterStore(seed: 5)
    _ = Bottleneck(store.root, 64, 256, stride: 1, dropPath: 0)
    for (key, fanOut) in [("conv1.weight", 64), ("conv2.weight", 9 * 64), ("conv3.weight", 256)] {
      let deviation: Double = try withoutGradients { try #require(store[key]).tensor.deviation().item() }
      #expect(abs(deviation / (2 / Double(fanOut)).squareRoot() - 1) < 0.05, "\(key)")
    }
  }
}
