import Backbones
import Layers
import TestSupport
import Testing
import Torch

@Suite struct DeiTTests {
  @Test func withoutPositionsTheOrderOfPatchesDoesNotMatter() throws {
    let model = Architecture.deitMicro.makeModel(head: .classifier(classes: 5), seed: 3, dtype: .float64)
    let table = try #require(model.store["pos_embed"]).tensor
    let x = Tensor.filled([2, 3, 64, 64], key: "images", low: -2, high: 2, dtype: .float64)
    // Half the image up: whole patches change places.
    let moved = x.roll([32], along: [2])
    withoutGradients {
      #expect(relativeError(model.backbone(moved), model.backbone(x)) > 1e-9)
      table.copy(from: table.zerosLike())
      expectClose(model.backbone(moved), model.backbone(x), 1e-12, "logits")
    }
  }

  @Test(arguments: [
    (Architecture.deitTiny, 3, 0.1), (.deitSmall, 6, 0.1), (.deitBase, 12, 0.1), (.deitMicro, 3, 0),
  ]) func heads(_ architecture: Architecture, _ heads: Int, _ dropPath: Double) throws {
    let configuration = try #require(architecture.configuration as? DeiT.Configuration)
    #expect(configuration.width == heads * configuration.headWidth)
    #expect(configuration.dropPath == dropPath)
  }

  @Test func aWidthThatHeadsDoNotDivideIsRefused() async {
    await #expect(processExitsWith: .failure) {
      _ = Architecture.deitTiny.makeModel(DeiT.Configuration(depth: 1, width: 100))
    }
  }
}
