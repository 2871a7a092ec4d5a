import Layers
import TestSupport
import Testing
import Torch

@testable import Backbones

@Suite struct MambaOutTests {
  private func block(
    _ store: ParameterStore, _ width: Int, change: (inout MambaOut.Configuration) -> Void = { _ in }
  ) -> GatedConvolution {
    var configuration = MambaOut.Configuration(depths: [1], widths: [width])
    change(&configuration)
    return GatedConvolution(store.root, width, configuration, dropPath: 0)
  }

  /// 8/3 of the width rounded down, as the authors' integer conversion does.
  @Test(arguments: [(48, 128), (96, 256), (128, 341), (192, 512), (288, 768), (576, 1536), (768, 2048)])
  func innerWidths(_ width: Int, _ inner: Int) {
    let store = ParameterStore(device: .meta)
    _ = block(store, width)
    #expect(store["fc1.weight"]?.tensor.shape == [2 * inner, width])
    #expect(store["conv.weight"]?.tensor.shape == [width, 1, 7, 7])
    #expect(store["fc2.weight"]?.tensor.shape == [width, inner])
  }

  /// The gate comes first, then the channels that stay as they are, then those that are convolved.
  @Test(arguments: [1.0, 0.5, 2]) func theLastChannelsAreConvolved(_ share: Double) throws {
    let store = ParameterStore(seed: 3, dtype: .float64)
    let block = block(store, 6) {
      $0.convolvedShare = share
      $0.expansion = 2
      $0.kernel = 3
    }
    let x = Tensor.filled([2, 6, 5, 4], key: "x", low: -1, high: 1, dtype: .float64)
    func value(_ key: String) throws -> Tensor { try #require(store[key]).tensor }
    let K = Int(6 * share)
    #expect(try value("conv.weight").shape == [K, 1, 3, 3])
    try withoutGradients {
      for entry in store.entries {
        entry.tensor.copy(
          from: .filled(entry.tensor.shape, key: entry.key, low: -1, high: 1, dtype: .float64))
      }
      // The same with convolutions alone: every linear layer is one of a single pixel.
      let normed = x.permute(0, 2, 3, 1)
        .layerNorm([6], weight: try value("norm.weight"), bias: try value("norm.bias"), epsilon: 1e-6)
        .permute(0, 3, 1, 2)
      let expanded = normed.conv2d(
        try value("fc1.weight").reshape(24, 6, 1, 1), bias: try value("fc1.bias"))
      let (gate, kept) = (
        expanded.narrow(1, from: 0, length: 12), expanded.narrow(1, from: 12, length: 12 - K)
      )
      let convolved = expanded.narrow(1, from: 24 - K, length: K)
        .conv2d(try value("conv.weight"), bias: try value("conv.bias"), padding: 1, groups: K)
      let inner = gate.gelu() * (K < 12 ? concatenate([kept, convolved], along: 1) : convolved)
      let expected =
        x + inner.conv2d(try value("fc2.weight").reshape(6, 12, 1, 1), bias: try value("fc2.bias"))
      expectClose(block(x), expected, 1e-13)
    }
  }

  @Test func moreConvolvedChannelsThanThereAreTrap() async {
    await #expect(processExitsWith: .failure) {
      var configuration = MambaOut.Configuration(depths: [1], widths: [8])
      configuration.convolvedShare = 3
      _ = GatedConvolution(ParameterStore(device: .meta).root, 8, configuration, dropPath: 0)
    }
  }
}
