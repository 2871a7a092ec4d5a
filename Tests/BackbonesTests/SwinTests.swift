import Layers
import TestSupport
import Testing
import Torch

@testable import Backbones

private let blocks = try? Fixture("swin_block", in: .module)

@Suite struct SwinTests {
  @Test func referencesAreThere() throws {
    #expect(try #require(blocks).cases.count == 4)
  }

  /// One block, or two of which the second shifts, with and without padding, on maps larger and smaller than a window.
  @Test(arguments: blocks?.cases ?? []) func blocksAreThePublished(_ expected: Fixture.Case) throws {
    for (dtype, output, gradient) in [(DType.float64, 1e-11, 1e-11), (.float32, 2e-5, 2e-3)] {
      let store = ParameterStore(dtype: dtype)
      let x = try expected.input("x", dtype).requiringGradient()
      var configuration = Swin.Configuration(depths: [2], widths: [x.size(-1)])
      configuration.window = try expected.attributes["window"].int()
      configuration.headWidth = x.size(-1) / (try expected.attributes["heads"].int())
      func block(_ scope: Scope, _ shift: WindowShift) -> SwinBlock {
        SwinBlock(scope, configuration, width: x.size(-1), shift: shift, dropPath: 0)
      }
      let size = try expected.attributes["size"].ints()
      let map = x.reshape(x.size(0), size[0], size[1], x.size(-1))
      let y: Tensor
      if expected.name.hasPrefix("swin_det") {
        let blocks = store.root["blocks"]
        let chain = Chain(blocks, depth: 2) { block($0, $1 == 0 ? .none : .always) }
        try store.load(expected.state())
        y = chain(map)
      } else {
        let isShifted = try expected.attributes["shift"].int() > 0
        let single = block(store.root, isShifted ? .largeMaps : .none)
        try store.load(expected.state())
        y = single(map)
      }
      expectClose(y.reshape(x.shape), try expected.output(), output, expected.testDescription)
      var variables = Dictionary(uniqueKeysWithValues: store.entries.map { ($0.key, $0.tensor) })
      variables["x"] = x
      try expectGradients(of: y.reshape(x.shape), variables, match: expected, gradient)
    }
  }

  private func model(_ head: Head, _ change: (inout Swin.Configuration) -> Void = { _ in }) -> Model {
    var configuration = Swin.Configuration(depths: [2, 2], widths: [16, 32])
    configuration.headWidth = 8
    configuration.window = 4
    change(&configuration)
    return Architecture.swinMicro.makeModel(configuration, head: head, seed: 5, dtype: .float64)
  }

  private func images(_ height: Int, _ width: Int) -> Tensor {
    .filled([2, 3, height, width], key: "images", low: -2, high: 2, dtype: .float64)
  }

  /// Of the two stages of 32 by 32 pixels, the second is one window.
  @Test func denseModelsShiftSmallMapsToo() {
    let (plain, dense) = (model(.none), model(.dense))
    withoutGradients {
      let maps = plain.backbone.features(of: images(32, 32))
      let normed = dense.backbone.features(of: images(32, 32))
      func norm(_ map: Tensor) -> Tensor {
        map.permute(0, 2, 3, 1).layerNorm([map.size(1)], weight: nil, bias: nil, epsilon: 1e-5)
          .permute(0, 3, 1, 2)
      }
      expectClose(normed[0], norm(maps[0]), 1e-12)
      #expect(relativeError(normed[1], norm(maps[1])) > 1e-4)
      expectClose(
        dense.backbone.features(of: images(64, 48))[1], norm(plain.backbone.features(of: images(64, 48))[1]),
        1e-12)
    }
  }

  /// Without a shift, what happens in one window stays there.
  @Test func windowsSeeEachOtherThroughTheShiftOnly() {
    func reach(_ depth: Int) -> [Double] {
      let model = model(.none) {
        $0.depths = [depth]
        $0.widths = [16]
      }
      let x = images(32, 32)
      let changed = concatenate(
        [x.narrow(3, from: 0, length: 28), -x.narrow(3, from: 28, length: 4)], along: 3)
      return withoutGradients {
        let difference = model.backbone.features(of: changed)[0] - model.backbone.features(of: x)[0]
        return difference.abs().sum(0, 1, 2).array(Double.self)  // of each column
      }
    }
    #expect(reach(1).map { $0 > 0 } == Array(repeating: false, count: 4) + Array(repeating: true, count: 4))
    // The last two columns go round to the first window, where the mask keeps them apart.
    #expect(reach(2).map { $0 > 0 } == [false, false] + Array(repeating: true, count: 6))
  }

  @Test func tablesOfOtherWindowsAreResized() throws {
    let (given, model) = (model(.none) { $0.window = 3 }, model(.none))
    let tensors = Dictionary(uniqueKeysWithValues: given.store.entries.map { ($0.key, $0.tensor) })
    let report = try model.store.load(adapting: tensors)
    #expect(report.changes.count == 4)
    #expect(report.changes.allSatisfy { $0.adaptation == .relativePositions(height: 4, width: 4) })
    // The middle of both tables is the offset of a position to itself.
    let key = "layers.0.blocks.0.attn.relative_position_bias_table"
    expectClose(
      try #require(model.store[key]).tensor[24].detached(), try #require(tensors[key])[12].detached(), 1e-6)
  }

  /// The authors' files hold index tables and masks, which follow from the sizes.
  @Test func publishedFilesLoad() throws {
    let model = model(.classifier(classes: 5))
    var tensors = Dictionary(uniqueKeysWithValues: model.store.entries.map { ($0.key, $0.tensor.detached()) })
    tensors["layers.0.blocks.1.attn.relative_position_index"] = Tensor.zeros([16, 16], dtype: .int64)
    tensors["layers.0.blocks.1.attn_mask"] = Tensor.zeros([4, 16, 16])
    try model.store.load(tensors)
    #expect(model.store.transfer(tensors).unexpected.isEmpty)
    tensors["layers.0.blocks.1.attn.mask"] = Tensor.zeros([4, 16, 16])
    let error = #expect(throws: ParameterMismatch.self) { try model.store.load(tensors) }
    #expect(error?.unexpected == ["layers.0.blocks.1.attn.mask"])
  }
}
