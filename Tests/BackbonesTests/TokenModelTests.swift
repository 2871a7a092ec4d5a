import Backbones
import Layers
import TestSupport
import Testing
import Torch

/// Properties of every network that sees an image as tokens, on networks small enough for seconds.
@Suite struct TokenModelTests {
  enum Network: String, CaseIterable, Sendable {
    case deit, vim, vimForward, vimSummed, vimFirstToken, vimEndTokens, vimLastPosition, vimMean, vimMaximum
    case vimPlus

    /// Three blocks of 8 channels over patches of 8 pixels.
    func configuration(dropPath: Double = 0) -> any BackboneConfiguration {
      if self == .deit {
        var configuration = DeiT.Configuration(depth: 3, width: 8)
        configuration.headWidth = 4
        configuration.patch = 8
        configuration.dropPath = dropPath
        return configuration
      }
      var configuration = VisionMamba.Configuration(depth: 3, width: 8)
      configuration.patch = 8
      configuration.stride = self == .vimPlus ? 4 : 8
      configuration.dropPath = dropPath
      switch self {
      case .deit, .vim, .vimPlus: break
      case .vimForward: configuration.directions = .forward
      case .vimSummed: configuration.directions = .summed
      case .vimFirstToken: configuration.readout = .firstToken
      case .vimEndTokens: configuration.readout = .endTokens
      case .vimLastPosition: configuration.readout = .lastPosition
      case .vimMean: configuration.readout = .mean
      case .vimMaximum: configuration.readout = .maximum
      }
      return configuration
    }

    /// Whatever the network is called, only its configuration counts.
    func model(
      imageSize: (height: Int, width: Int) = (32, 32), head: Head = .classifier(classes: 3),
      dropPath: Double = 0
    ) -> Model {
      Architecture.deitMicro.makeModel(
        configuration(dropPath: dropPath), imageSize: imageSize, head: head, seed: 7, dtype: .float64)
    }
  }

  private func images(_ height: Int = 32, _ width: Int = 32, batch: Int = 2) -> Tensor {
    .filled([batch, 3, height, width], key: "images", low: -2, high: 2, dtype: .float64)
  }

  /// Initial values are small, and some of them 0 or 1: moves them all, so that every tensor matters.
  private func shake(_ store: ParameterStore) {
    withoutGradients {
      for entry in store.entries {
        let noise = Tensor.filled(entry.tensor.shape, key: entry.key, low: -0.3, high: 0.3, dtype: .float64)
        entry.tensor.copy(from: entry.tensor + noise)
      }
    }
  }

  @Test(arguments: Network.allCases, [(33, 47), (64, 24), (8, 8), (32, 32)])
  func oddSizes(_ network: Network, _ size: (Int, Int)) throws {
    let backbone = network.model(head: .none).backbone
    let maps = withoutGradients { backbone.features(of: images(size.0, size.1, batch: 1)) }
    let info = try #require(backbone.featureInfo.first)
    #expect(backbone.featureInfo.count == 1 && maps.count == 1)
    #expect(info.channels == 8 && info.stride == (network == .vimPlus ? 4 : 8))
    // Patches that overlap by half have one place less in each direction.
    let overlap = network == .vimPlus ? 1 : 0
    let expected = [size.0, size.1].map { ($0 + info.stride - 1) / info.stride - overlap }
    #expect([size.0, size.1].map(info.positions) == expected)
    #expect(maps[0].shape == [1, 8] + expected)
    expectFinite(maps[0], info.name)
  }

  /// A table is resized when the network runs as it is when a checkpoint is loaded for that size.
  @Test(arguments: Network.allCases) func otherSizesResizeTheTable(_ network: Network) throws {
    let (square, wide) = (network.model(), network.model(imageSize: (40, 56)))
    shake(square.store)
    let values = Dictionary(uniqueKeysWithValues: square.store.entries.map { ($0.key, $0.tensor.detached()) })
    let report = try wide.store.load(adapting: values)
    #expect(report.changes.map(\.key) == ["pos_embed"])
    let x = images(40, 56)
    withoutGradients {
      // Loading resizes in single precision.
      expectClose(square.backbone(x), wide.backbone(x), 1e-5, "logits")
      #expect(relativeError(wide.backbone(images()), square.backbone(images())) > 1e-6)
    }
  }

  @Test(arguments: [Network.deit, .vim]) func intermediatesFollowTheQuarters(_ network: Network) {
    let model = network.model()
    let intermediates = withoutGradients { model.backbone.intermediates(of: images()) }
    // Of three blocks, quarters end after the first, the second and the last.
    #expect(intermediates.count == (network == .deit ? 3 : 6))
    #expect(intermediates.allSatisfy { $0.shape == [2, 17, 8] })
  }
}
