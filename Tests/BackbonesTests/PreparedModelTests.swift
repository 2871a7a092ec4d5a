import Backbones
import Layers
import TestSupport
import Testing
import Torch

/// A prepared model computes what the model that it was prepared from computes.
@Suite struct PreparedModelTests {
  /// A model whose every tensor matters: no scale of 1, no offset of 0, no statistics of a fresh normalisation.
  private func model(
    _ architecture: Architecture, head: Head, dtype: DType,
    change: (inout SparX.Configuration) -> Void = { _ in }
  ) -> Model {
    var configuration = architecture.configuration
    if var sparx = configuration as? SparX.Configuration {
      change(&sparx)
      configuration = sparx
    }
    let model = architecture.makeModel(configuration, head: head, seed: 3, dtype: dtype)
    withoutGradients {
      for entry in model.store.entries where entry.tensor.dtype.isFloatingPoint && entry.tensor.rank == 1 {
        let low = entry.key.hasSuffix("bias") || entry.key.hasSuffix("mean") ? -0.5 : 0.5
        entry.tensor.copy(
          from: .filled(entry.tensor.shape, key: entry.key, low: low, high: low + 1, dtype: dtype))
      }
    }
    return model
  }

  private func images(_ size: [Int], _ dtype: DType) -> Tensor {
    .filled(size, key: "images", low: -2, high: 2, dtype: dtype)
  }

  @Test(arguments: [
    (Architecture.sparxMambaMicro, [3, 3, 64, 64]), (.sparxMambaMicro, [14, 3, 64, 64]),
    (.sparxMambaMicro, [1, 3, 33, 47]), (.sparxMambaTiny, [1, 3, 96, 64]),
    (.sparxMambaSmall, [1, 3, 64, 64]),
    (.sparxMambaBase, [1, 3, 64, 64]),
  ])
  func logitsAreTheSame(_ architecture: Architecture, _ size: [Int]) {
    for (dtype, tolerance) in [(DType.float64, 1e-11), (.float32, 2e-5)] {
      if dtype == .float64 && architecture == .sparxMambaBase { continue }
      let plain = model(architecture, head: .classifier(classes: 7), dtype: dtype)
      let x = images(size, dtype)
      withoutGradients {
        let prepared = withPoisonedAllocations { plain.prepared().backbone(x) }
        expectClose(prepared, plain.backbone(x), tolerance, "\(architecture) \(dtype)")
      }
    }
  }

  @Test func ablationsAreTheSameToo() {
    let changes: [(inout SparX.Configuration) -> Void] = [
      { $0.mixer = .convolution() },
      { $0.mixer = .scan2D(states: 4, expansion: 1, kernel: 3) },
      {
        for index in $0.stages.indices {
          if case .dynamicChannels(var configuration) = $0.stages[index].connection.aggregator {
            configuration.shortcut = .none
            configuration.reduction = 1
            $0.stages[index].connection.aggregator = .dynamicChannels(configuration)
          }
        }
      },
    ]
    for (index, change) in changes.enumerated() {
      let plain = model(.sparxMambaMicro, head: .classifier(classes: 5), dtype: .float64, change: change)
      let x = images([2, 3, 64, 64], .float64)
      withoutGradients {
        expectClose(plain.prepared().backbone(x), plain.backbone(x), 1e-11, "change \(index)")
      }
    }
  }

  @Test func isOnItsOwn() {
    let plain = model(.sparxMambaMicro, head: .classifier(classes: 5), dtype: .float32)
    let prepared = plain.prepared()
    let x = images([1, 3, 64, 64], .float32)
    withoutGradients {
      let before = prepared.backbone(x)
      for entry in plain.store.entries where entry.tensor.dtype == .float32 {
        entry.tensor.copy(from: .zeros(entry.tensor.shape))
      }
      expectClose(prepared.backbone(x), before, 0, "after the original changed")
    }
  }

  @Test func gradientsAreRefused() {
    let prepared = model(.sparxMambaMicro, head: .classifier(classes: 5), dtype: .float32).prepared()
    let error = #expect(throws: TorchError.self) {
      try withTorchErrors { _ = prepared.backbone(images([1, 3, 64, 64], .float32).requiringGradient()) }
    }
    #expect(error?.message.contains("no gradient") == true, "\(error?.message ?? "")")
  }

  @Test func trainingIsRefused() async {
    await #expect(processExitsWith: .failure) {
      let model = Architecture.sparxMambaMicro.makeModel()
      let store = ParameterStore(preparing: model.store)
      store.mode.isTraining = true
    }
  }

  @Test func anEmptyBatchHasNoLogits() {
    let plain = model(.sparxMambaMicro, head: .classifier(classes: 5), dtype: .float32)
    withoutGradients {
      #expect(plain.prepared().backbone(.zeros([0, 3, 64, 64])).shape == [0, 5])
    }
  }
}
