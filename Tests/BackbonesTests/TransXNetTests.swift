import Layers
import TestSupport
import Testing
import Torch

@testable import Backbones

/// Properties that every TransXNet has, on networks small enough for seconds.
@Suite struct TransXNetTests {
  private func configuration(
    _ change: (inout TransXNet.Configuration) -> Void = { _ in }
  ) -> TransXNet.Configuration {
    // The second stage's hidden width is no multiple of 4, its branches start where they matter.
    var configuration = TransXNet.Configuration(stages: [
      .init(depth: 1, width: 8, heads: 1, reduction: 8),
      .init(depth: 2, width: 10, heads: 1, reduction: 4, kernels: 3, expansion: 3),
      .init(depth: 2, width: 16, heads: 2, reduction: 2), .init(depth: 1, width: 24, heads: 3, reduction: 1),
    ])
    configuration.branchScale = 0.5
    change(&configuration)
    return configuration
  }

  private func images(_ height: Int, _ width: Int, batch: Int = 2) -> Tensor {
    .filled([batch, 3, height, width], key: "images", low: -2, high: 2, dtype: .float64)
  }

  /// A model whose tables of biases are not the zeros that they start from.
  private func model(
    _ configuration: TransXNet.Configuration, size: (Int, Int) = (64, 64),
    _ head: Head = .classifier(classes: 3)
  ) -> (store: ParameterStore, model: TransXNet) {
    let store = ParameterStore(seed: 7, dtype: .float64)
    let model = TransXNet(store.root, configuration, imageSize: size, head: head)
    withoutGradients {
      for entry in store.entries where entry.key.hasPrefix("relative_pos_enc") {
        entry.tensor.copy(
          from: .filled(entry.tensor.shape, key: entry.key, low: -1, high: 1, dtype: .float64))
      }
    }
    return (store, model)
  }

  @Test func trainingOnOneImageIsASentence() {
    let (store, model) = model(configuration())
    store.mode.isTraining = true
    let error = #expect(throws: TorchError.self) {
      try withTorchErrors { _ = model(images(64, 64, batch: 1)) }
    }
    #expect(error?.message.contains("at least 2 images") == true, "\(error?.message ?? "")")
  }

  @Test(arguments: [
    ((64, 64), [[256, 4], [64, 4], [16, 4], [4, 4]]), ((50, 70), [[234, 6], [63, 6], [20, 6], [6, 6]]),
  ]) func tablesFitTheImagesTheyAreFor(_ size: (Int, Int), _ expected: [[Int]]) {
    let (store, _) = model(configuration(), size: size)
    let tables = store.entries.filter { $0.key.hasPrefix("relative_pos_enc") }
    #expect(tables.map { Array($0.tensor.shape.dropFirst(2)) } == expected)
    #expect(tables.map { $0.tensor.size(1) } == [1, 1, 2, 3])
    #expect(tables.allSatisfy { $0.adaptation == .map })
  }

  /// A model for other images that takes this one's tables when it is loaded computes what this one computes for them.
  @Test func tablesResizedAtRunTimeAreThoseResizedOnLoading() throws {
    let (store, model) = model(configuration())
    let (other, otherModel) = self.model(configuration(), size: (96, 80))
    let values = Dictionary(uniqueKeysWithValues: store.entries.map { ($0.key, $0.tensor.detached()) })
    let report = try other.load(adapting: values)
    #expect(report.changes.map(\.key) == (0..<4).map { "relative_pos_enc.\($0)" })
    // Values of other shapes are resized in float32.
    withoutGradients { expectClose(otherModel(images(96, 80)), model(images(96, 80)), 1e-5) }
  }

  /// The dynamic convolution's projection also sees the means that its bias is made of.
  @Test(arguments: [false, true]) func aStepCountsTheDynamicConvolutionsBatchesTwice(
    _ usesCheckpointing: Bool
  ) {
    let (store, model) = model(configuration())
    store.mode.isTraining = true
    store.mode.usesCheckpointing = usesCheckpointing
    model(images(64, 64)).sum().backward()
    for entry in store.entries where entry.key.hasSuffix("num_batches_tracked") {
      #expect(entry.tensor.itemInt() == (entry.key.contains("local_unit") ? 2 : 1), "\(entry.key)")
    }
  }

  @Test(arguments: [
    (Architecture.transXNetTiny, 16), (.transXNetSmall, 80), (.transXNetBase, 32), (.transXNetMicro, 16),
  ]) func widthsDivideIntoTheHeads(_ architecture: Architecture, _ unit: Int) {
    #expect(architecture.configuration.widthUnit == unit)
  }
}
