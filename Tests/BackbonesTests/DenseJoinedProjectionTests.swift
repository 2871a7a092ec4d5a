import Layers
import Testing
import TestSupport
import Torch

@testable import Backbones

@Suite("The joined projection as one product")
struct DenseJoinedProjectionTests {
  /// Outputs that divide by the parts, and that leave one or two channels to be means.
  @Test(
    "is the shuffle, the projection in groups and the means",
    arguments: [(3, 8, 24), (3, 8, 16), (3, 10, 20), (1, 6, 9)])
  func product(_ sizes: (parts: Int, width: Int, outputs: Int)) {
    let (parts, width, outputs) = sizes
    let store = ParameterStore(seed: 3, dtype: .float64)
    let steps = SteppedJoinedProjection(store.root, width, parts: parts, outputs: outputs)
    for entry in store.entries {
      entry.tensor.detached().copy(from: .filled(entry.tensor.shape, key: entry.key, dtype: .float64))
    }
    let shared = ParameterStore(preparing: store)
    let dense = DenseJoinedProjection(shared.root, width, parts: parts, outputs: outputs)
    let maps = (0..<parts).map {
      Tensor.filled([2, width, 5, 4], key: "map \($0)", dtype: .float64)
    }
    let matrices = dense.matrices
    let joined = concatenate(maps, along: 1)
    let mixed = joined.conv2d(
      matrices.window, bias: matrices.windowBias, padding: 1, groups: parts * width
    ).gelu()
    let result = mixed.permute(0, 2, 3, 1).linear(matrices.weight, bias: matrices.bias).permute(0, 3, 1, 2)
    withoutGradients { expectClose(result, steps(maps), 1e-12) }
  }
}
