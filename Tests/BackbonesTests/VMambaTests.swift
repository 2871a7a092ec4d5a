import Layers
import Scan
import TestSupport
import Testing
import Torch

@testable import Backbones

/// Properties of both generations, on networks small enough for seconds.
@Suite struct VMambaTests {
  /// A small network and what is special about it.
  enum Variant: String, CaseIterable {
    case second, vanilla, states, gated, wideKernel, noFeedForward
  }

  private func configuration(_ variant: Variant) -> VMamba.Configuration {
    let (depths, widths) = ([1, 1, 2, 1], [8, 12, 16, 20])
    var configuration = VMamba.Configuration(depths: depths, widths: widths, expansion: 1)
    switch variant {
    case .second: break
    case .vanilla: configuration = .vanilla(depths: depths, widths: widths)
    case .states: configuration.mixer.states = 3
    case .gated: configuration.mixer.gate = .silu
    case .wideKernel: configuration.mixer.kernel = 5
    case .noFeedForward: configuration.feedForward = .none
    }
    return configuration
  }

  /// A model whose vectors differ from where they start, so that each of them matters.
  private func model(_ variant: Variant, _ head: Head = .classifier(classes: 3), dropPath: Double = 0)
    -> Model
  {
    let model = Architecture.vmambaMicro.makeModel(
      configuration(variant), head: head, dropPath: dropPath, seed: 7, dtype: .float64)
    withoutGradients {
      for entry in model.store.entries where entry.tensor.rank == 1 {
        let low = entry.key.hasSuffix("bias") ? -0.5 : 0.5
        entry.tensor.copy(
          from: .filled(entry.tensor.shape, key: entry.key, low: low, high: low + 1, dtype: .float64))
      }
    }
    return model
  }

  private func images(_ batch: Int, _ height: Int, _ width: Int) -> Tensor {
    .filled([batch, 3, height, width], key: "images", low: -2, high: 2, dtype: .float64)
  }

  @Test func positionsOfOddSizes() {
    func sizes(_ variant: Variant, _ pixels: Int) -> [Int] {
      model(variant, .none).backbone.featureInfo.map { $0.positions(pixels) }
    }
    #expect(sizes(.second, 61) == [16, 8, 4, 2])
    #expect(sizes(.vanilla, 61) == [15, 8, 4, 2])
    #expect(sizes(.vanilla, 35) == [8, 4, 2, 1])
    #expect(sizes(.second, 35) == [9, 5, 3, 2])
  }

  /// The first generation does not see what fills no patch; the second sees every pixel.
  @Test(arguments: [Variant.second, .vanilla]) func theLastPixelsMatterOrNot(_ variant: Variant) {
    let backbone = model(variant).backbone
    let x = images(1, 35, 34)
    let whole = x[..., 0..<3, 0..<32, 0..<32]
    let cut = whole.padded([0, 2, 0, 3])
    withoutGradients {
      let error = relativeError(backbone(cut), backbone(x))
      if variant == .vanilla {
        #expect(error == 0)
        expectClose(backbone(x), backbone(whole.contiguous()), 1e-12)
      } else {
        #expect(error > 1e-4)
      }
    }
  }

  @Test(arguments: Variant.allCases) func everyParameterLearns(_ variant: Variant) throws {
    let model = model(variant)
    let logits = model.backbone(images(2, 64, 40))
    (logits * .filled(logits.shape, key: "probe", dtype: .float64)).sum().backward()
    for entry in model.store.entries {
      let gradient = try #require(entry.tensor.gradient, "\(entry.key)")
      expectFinite(gradient, entry.key)
      #expect(gradient.abs().max().item() > 0, "\(entry.key)")
    }
  }

  /// The scan as its authors define it gives the same, whatever the number of states.
  @Test(arguments: [Variant.second, .vanilla, .states]) func scanKernelsAgree(_ variant: Variant) {
    let model = model(variant)
    let x = images(1, 33, 40)
    withoutGradients {
      expectClose(model.backbone(x), withScanKernel(.naive) { model.backbone(x) }, 1e-11)
      #expect(
        OperationCounter.count { _ = model.backbone(x) }
          == withScanKernel(.naive) { OperationCounter.count { _ = model.backbone(x) } })
    }
  }

  @Test(arguments: Variant.allCases) func preparedIsTheSame(_ variant: Variant) {
    let plain = model(variant)
    let prepared = plain.prepared().backbone
    let x = images(2, 61, 70)
    withoutGradients {
      expectClose(withPoisonedAllocations { prepared(x) }, plain.backbone(x), 1e-11)
      let one = x[0..<1]
      #expect(
        OperationCounter.count { _ = prepared(one) } == OperationCounter.count { _ = plain.backbone(one) })
    }
  }

  /// Convolutions start uniform in ±1/√fan-in with their biases, linear layers normal with deviation 0.02.
  @Test func initialValuesAreThePublishedOnes() throws {
    let store = Architecture.vmambaMicro.makeModel().store
    func value(_ key: String) throws -> Tensor { try #require(store[key], "\(key)").tensor.detached() }
    for (key, fanIn) in [("patch_embed.0", 27), ("patch_embed.5", 108), ("layers.1.downsample.1", 432)] {
      let bound = 1 / Double(fanIn).squareRoot()
      for name in ["\(key).weight", "\(key).bias"] {
        let largest: Double = try value(name).abs().max().item()
        #expect((0.6 * bound...bound * 1.000001).contains(largest), "\(name)")
      }
    }
    let deviation: Double = try value("layers.2.blocks.0.mlp.fc1.weight").deviation().item()
    #expect(abs(deviation - 0.02) < 1e-3)
    #expect(try value("layers.2.blocks.0.mlp.fc1.bias").abs().max().item() == 0)
    let vanilla = VMamba.Configuration.vanilla(depths: [1], widths: [8])
    let states = Architecture.vmambaMicro.makeModel(vanilla).store["layers.0.blocks.0.op.A_logs"]
    let rates = try #require(states).tensor.detached().exp()
    expectClose(rates, Tensor.arange(1, to: 17).expand([64, 16]), 1e-6)
  }

  /// What the authors' first code called the tensors of the first generation, whose released files have these names.
  private func released(_ store: ParameterStore) -> [String: Tensor] {
    func old(_ key: String) -> String {
      let names = [
        "patch_embed.0.": "patch_embed.proj.", "patch_embed.2.": "patch_embed.norm.",
        "classifier.norm.": "norm.", "classifier.head.": "head.",
      ]
      for (new, old) in names where key.hasPrefix(new) { return old + key.dropFirst(new.count) }
      var path = key.split(separator: ".").map(String.init)
      if path.count > 4, path[2] == "blocks" {
        path[4] = ["norm": "ln_1", "op": "self_attention"][path[4]] ?? path[4]
      }
      return path.joined(separator: ".")
    }
    return Dictionary(uniqueKeysWithValues: store.entries.map { (old($0.key), $0.tensor.detached()) })
  }

  @Test func releasedFilesOfTheFirstGenerationLoad() throws {
    let source = model(.vanilla)
    let file = released(source.store)
    #expect(file["layers.2.blocks.1.self_attention.out_norm.weight"] != nil && file["norm.bias"] != nil)
    let target = Architecture.vmambaMicro.makeModel(
      configuration(.vanilla), head: .classifier(classes: 3), seed: 1, dtype: .float64)
    let translation = try target.store.load(file, from: "vssmtiny.pth")
    // Of each of 5 layers a norm and 11 tensors of the mixer; of stem and classifier four each.
    #expect(translation.renamed.count == 4 + 5 * (2 + 11) + 4)
    for words in [
      "under older names", "ln_1 is norm", "self_attention is op", "patch_embed.proj is patch_embed.0",
      "head is classifier.head",
    ] { #expect("\(translation)".contains(words), "\(translation)") }
    let x = images(1, 40, 48)
    withoutGradients { expectClose(target.backbone(x), source.backbone(x), 0) }

    let adapted = try model(.vanilla, .classifier(classes: 5)).store.load(adapting: file, from: "a.pth")
    #expect(adapted.changes.map(\.key) == ["classifier.head.weight", "classifier.head.bias"])
    #expect("\(adapted)".contains("ln_1 is norm"), "\(adapted)")
    #expect(model(.vanilla).store.transfer(file).translation == translation)
  }

  /// The names that the released files have are those of the published models: all of them, and no tensor more.
  @Test(arguments: [
    (Architecture.vanillaVMambaTiny, 15), (.vanillaVMambaSmall, 33), (.vanillaVMambaBase, 33),
  ]) func everyReleasedNameIsKnown(_ architecture: Architecture, _ layers: Int) throws {
    let store = architecture.makeModel(device: .meta).store
    let shapes = released(store).mapValues(\.shape)
    let translation = store.translation(of: shapes)
    #expect(translation.renamed.count == 8 + 13 * layers)
    #expect(Set(shapes.keys.map(translation.key)) == Set(store.entries.map(\.key)))
  }

  @Test func newNamesAreNotTranslated() throws {
    let store = model(.vanilla).store
    let values = Dictionary(uniqueKeysWithValues: store.entries.map { ($0.key, $0.tensor.detached()) })
    #expect(try store.load(values).isEmpty)
    // With both names the older one is too many: no tensor is dropped without a word.
    var both = values
    both["norm.weight"] = values["classifier.norm.weight"]
    let error = #expect(throws: ParameterMismatch.self) { try store.load(both) }
    #expect(error?.unexpected == ["norm.weight"])
    // Without a classifier there is nothing that a classifier's older name could mean.
    let bare = model(.vanilla, .none)
    let missing = #expect(throws: ParameterMismatch.self) { try bare.store.load(released(store)) }
    #expect(missing?.unexpected == ["head.bias", "head.weight", "norm.bias", "norm.weight"])
    #expect(missing?.missing.isEmpty == true)
  }

  /// Files hold the weights of linear layers over maps as matrices or as convolutions of one pixel.
  @Test(arguments: [Variant.second, .vanilla]) func linearLayersMayBeConvolutions(_ variant: Variant) throws {
    let (source, target) = (model(variant), model(variant))
    var file = Dictionary(uniqueKeysWithValues: source.store.entries.map { ($0.key, $0.tensor.detached()) })
    let names = variant == .second ? ["in_proj", "out_proj", "fc1", "fc2"] : ["in_proj", "out_proj"]
    let keys = file.keys.filter { key in names.contains { key.hasSuffix("\($0).weight") } }.sorted()
    for key in keys { file[key] = file[key].map { $0.reshape($0.shape + [1, 1]) } }
    withoutGradients { for entry in target.store.entries { entry.tensor.copy(from: entry.tensor * 0) } }
    let translation = try target.store.load(file)
    #expect(translation.flattened == keys && translation.renamed.isEmpty && keys.count == 5 * names.count)
    for (a, b) in zip(target.store.entries, source.store.entries) {
      expectClose(a.tensor, b.tensor, 0, a.key)
    }
    file["classifier.head.weight"] = file["classifier.head.weight"].map { $0.reshape($0.shape + [1, 1]) }
    let error = #expect(throws: ParameterMismatch.self) { try target.store.load(file) }
    #expect(error?.misshaped.map(\.key) == ["classifier.head.weight"])
  }
}
