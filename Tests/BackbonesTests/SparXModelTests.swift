import Backbones
import Layers
import Scan
import TestSupport
import Testing
import Torch

/// Properties that every SparX has, on networks small enough for seconds.
@Suite struct SparXModelTests {
  private func configuration(
    _ change: (inout SparX.Configuration) -> Void = { _ in }
  ) -> SparX.Configuration {
    var configuration = SparX.Configuration.published(
      depths: [1, 2, 3, 2], widths: [8, 12, 16, 20], stem: .threeConvolutions, stride: 2)
    change(&configuration)
    return configuration
  }

  private func images(_ height: Int = 32, _ width: Int = 32, batch: Int = 2) -> Tensor {
    .filled([batch, 3, height, width], key: "images", low: -2, high: 2, dtype: .float64)
  }

  private func model(_ configuration: SparX.Configuration, _ head: Head = .classifier(classes: 3))
    -> (store: ParameterStore, model: SparX)
  {
    let store = ParameterStore(seed: 7, dtype: .float64)
    let model = SparX(store.root, configuration, head: head)
    return (store, model)
  }

  /// Variants of the connection and the mixer; each must run and train every parameter.
  enum Variant: String, CaseIterable {
    case published, plain, dense, concatenation, noShortcut, noReduction, unseenInput, ganglionInput,
      convolution
    case states, twoConvolutions
  }

  private func configuration(_ variant: Variant) -> SparX.Configuration {
    func change(_ change: (inout CrossLayerConnection) -> Void) -> SparX.Configuration {
      configuration { configuration in
        for index in configuration.stages.indices { change(&configuration.stages[index].connection) }
      }
    }
    switch variant {
    case .published: return configuration()
    case .plain: return change { $0 = .none }
    case .dense: return change { $0.reach = .dense }
    case .concatenation: return change { $0.aggregator = .concatenation }
    case .noShortcut:
      return change { connection in
        var aggregator = DynamicChannelAggregator.Configuration(reduction: 2)
        aggregator.shortcut = .none
        connection.aggregator = .dynamicChannels(aggregator)
      }
    case .noReduction: return change { $0.aggregator = .dynamicChannels(.init(reduction: 1)) }
    case .unseenInput: return change { $0.stageInput = .unseen }
    case .ganglionInput: return change { $0.stageInput = .ganglion }
    case .convolution: return configuration { $0.mixer = .convolution() }
    case .states: return configuration { $0.mixer = .scan2D(states: 4, expansion: 1, kernel: 3) }
    case .twoConvolutions: return configuration { $0.stem = .twoConvolutions }
    }
  }

  @Test(arguments: Variant.allCases) func everyParameterLearns(_ variant: Variant) throws {
    let (store, model) = model(configuration(variant))
    store.mode.isTraining = true
    // Parameters that start from zero or one make some gradients vanish: move them all.
    withoutGradients {
      for entry in store.entries where entry.kind == .parameter {
        let noise = Tensor.filled(entry.tensor.shape, key: entry.key, low: -0.3, high: 0.3, dtype: .float64)
        entry.tensor.copy(from: entry.tensor + noise)
      }
    }
    let logits = model(images(64, 64, batch: 4))
    let probe = Tensor.filled(logits.shape, key: "probe", dtype: .float64)
    (logits * probe).sum().backward()
    for entry in store.entries where entry.kind == .parameter {
      let gradient = try #require(entry.tensor.gradient, "\(entry.key)")
      expectFinite(gradient, entry.key)
      #expect(gradient.abs().max().item() > 0, "\(entry.key)")
    }
  }
}
