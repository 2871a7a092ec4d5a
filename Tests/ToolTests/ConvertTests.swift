import Backbones
import Foundation
import Layers
import TestSupport
import Testing
import Torch

@Suite struct ConvertTests {
  private static let fixtures = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../TorchTests/Fixtures/pytorch").standardizedFileURL

  private func fixture(_ name: String) -> String {
    Self.fixtures.appending(path: name).path(percentEncoded: false)
  }

  private func path(_ folder: URL, _ name: String) -> String {
    folder.appending(path: name).path(percentEncoded: false)
  }

  private func convert(_ arguments: String...) throws -> Tool.Result { try Tool.run(["convert"] + arguments) }

  private func report(_ result: Tool.Result) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any])
  }

  @Test(arguments: ["views.pth"]) func thereAndBackAndThere(_ name: String)
    throws
  {
    try inScratchFolder { folder in
      let (one, back, two) = (
        path(folder, "1.safetensors"), path(folder, "2.pth"), path(folder, "3.safetensors")
      )
      for (input, output) in [(fixture(name), one), (one, back), (back, two)] {
        let result = try convert(input, output)
        #expect(result.status == 0 && result.output.isEmpty, "\(result.errors)")
      }
      let contents = try [one, two].map { try Data(contentsOf: URL(filePath: $0)) }
      #expect(contents[0] == contents[1])
      let (first, last) = (
        try StateDictionary(contentsOf: URL(filePath: fixture(name))),
        try StateDictionary(contentsOf: URL(filePath: two))
      )
      #expect(first.entries == last.entries && last.metadata == ["format": "pt"])
      for key in first.entries.map(\.key) {
        let (before, after) = (try first.tensor(key).bytes(), try last.tensor(key).bytes())
        #expect(before == after, "\(key)")
      }
      #expect(try files(in: folder) == ["1.safetensors", "2.pth", "3.safetensors"])
    }
  }

  /// A file under the names of the first VMamba code gets the model's names, and is then as any other.
  @Test func olderNamesBecomeTheModels() throws {
    try inScratchFolder { folder in
      let model = Architecture.vanillaVMambaTiny.makeModel(device: .meta)
      let entries = model.store.entries.map { entry -> (String, Tensor) in
        let old = entry.key.replacingOccurrences(of: ".op.", with: ".self_attention.")
        let shape = entry.tensor.shape + (entry.key.hasSuffix("op.in_proj.weight") ? [1, 1] : [])
        return (old, .zeros(shape, dtype: .float16))
      }
      let (old, new) = (path(folder, "old.safetensors"), path(folder, "new.safetensors"))
      try SafeTensors.write(entries, to: URL(filePath: old))
      let result = try convert(old, new, "--model", "vanilla_vmamba_tiny", "--json")
      #expect(result.status == 0, "\(result.errors)")
      let object = try report(result)
      let renamed = try #require(object["renamed"] as? [[String: String]])
      #expect(renamed.count == 15 * 11)
      #expect(
        renamed.contains([
          "from": "layers.0.blocks.0.self_attention.Ds", "to": "layers.0.blocks.0.op.Ds",
        ]))
      #expect((object["flattened"] as? [String])?.count == 15)
      let converted = try StateDictionary(contentsOf: URL(filePath: new)).entries
      #expect(
        Dictionary(uniqueKeysWithValues: converted.map { ($0.key, $0.shape) })
          == Dictionary(uniqueKeysWithValues: model.store.entries.map { ($0.key, $0.tensor.shape) }))
      let text = try convert(old, new, "--model", "vanilla_vmamba_tiny", "--force").errors
      #expect(text.contains("165 under older names (self_attention is op); 15 as convolutions"), "\(text)")
      let unknown = try convert(old, new, "--model", "vgg16", "--force")
      #expect(unknown.status == 64 && unknown.errors.contains("--model must be one of"), "\(unknown.errors)")
    }
  }

  @Test func whatIsLeftOutIsSaid() throws {
    try inScratchFolder { folder in
      let result = try convert(
        fixture("training5.pth"), path(folder, "w.safetensors"), "--key", "model", "--json")
      #expect(result.status == 0, "\(result.errors)")
      let object = try report(result)
      #expect(object["key"] as? String == "model" && object["tensors"] as? Int == 8)
      let leftOut = try #require(object["left_out"] as? [[String: String]])
      #expect(leftOut.contains(["key": "model_ema", "kind": "dictionary of 8"]))
      #expect(leftOut.contains(["key": "args", "kind": "object of argparse.Namespace"]))
      #expect(!leftOut.contains { $0["key"] == "model" })
      let text = try convert(fixture("wrapped.pth"), path(folder, "v.safetensors")).errors
      #expect(text.contains("taken: state_dict\n'module.' is left out of every key\nleft out: arch (text)"))
    }
  }

  @Test(arguments: ["bfloat16"]) func floatsChangeTheirType(_ name: String) throws {
    try inScratchFolder { folder in
      let url = folder.appending(path: "w.safetensors")
      let dtype = try #require(DType.allCases.first { $0.name == name })
      let values = Tensor([1.0, 1 / 3, -2.5])
      try SafeTensors.write([("a", values), ("b", Tensor([1, 2])), ("c", Tensor([true]))], to: url)
      let out = path(folder, "out.pt")
      #expect(try convert(path(folder, "w.safetensors"), out, "--dtype", name).status == 0)
      let file = try StateDictionary(contentsOf: URL(filePath: out))
      #expect(file.entries.map(\.dtype) == [dtype, .int64, .bool])
      #expect(try file.tensor("a").bytes() == values.to(dtype).bytes())
    }
  }

  @Test func valuesThatBecomeInfiniteAreSaid() throws {
    try inScratchFolder { folder in
      try SafeTensors.write(
        [("large", Tensor([Float(1e6)])), ("fine", Tensor([Float.infinity, .nan, 1]))],
        to: folder.appending(path: "w.safetensors"))
      let arguments = [
        "convert", path(folder, "w.safetensors"), path(folder, "h.safetensors"), "--dtype", "float16",
      ]
      let result = try Tool.run(arguments + ["--json"])
      #expect(try report(result)["overflowed"] as? [String] == ["large"])
    }
  }

  @Test func filesAreOnlyReplacedByForce() throws {
    try inScratchFolder { folder in
      let out = path(folder, "w.safetensors")
      try Data("mine".utf8).write(to: URL(filePath: out))
      let refused = try convert(fixture("types.pth"), out)
      #expect(
        refused.status != 0 && refused.errors.contains("is there already; choose another name or add --force")
      )
      #expect(try Data(contentsOf: URL(filePath: out)) == Data("mine".utf8))
      #expect(try convert(fixture("types.pth"), out, "--force").status == 0)
      // A file may even replace itself.
      #expect(try convert(out, out, "--force", "--dtype", "bfloat16").status == 0)
      #expect(try StateDictionary(contentsOf: URL(filePath: out)).entries.contains { $0.dtype == .bfloat16 })
    }
  }

  @Test func refusalsAreSentencesAndLeaveNothing() throws {
    try inScratchFolder { folder in
      let out = path(folder, "w.safetensors")
      for (input, says) in [
        ("others.pth", "tensor 'complex': has elements of complex64"),
        ("script.pt", "is a TorchScript program"),
        ("unusual.pth", "has no weights where they usually are"),
      ] {
        let result = try convert(fixture(input), out)
        #expect(result.status != 0 && result.errors.contains(says), "\(result.errors)")
      }
      let named = try convert(fixture("types.pth"), path(folder, "w.onnx"))
      #expect(named.status != 0 && named.errors.contains("must end in .safetensors, .pth or .pt"))
      #expect(try files(in: folder).isEmpty)
    }
  }

  @Test func ofARunTheAveragesAreTaken() throws {
    try inScratchFolder { folder in
      let url = folder.appending(path: "last.safetensors")
      let metadata = ["format": "ganglion.checkpoint.1", "recipe": "{}", "classes": "[\"a\"]"]
      try SafeTensors.write(
        [
          ("w", Tensor([1.0])), ("average.w", Tensor([2.0])), ("optimizer.first.w", Tensor([3.0])),
          ("optimizer.step.w", Tensor([4.0])),
        ], metadata: metadata, to: url)
      let input = path(folder, "last.safetensors")
      let archive = try convert(input, path(folder, "w.pth"))
      #expect(archive.status == 0, "\(archive.errors)")
      #expect(archive.errors.contains("left out: the run's own weights (1 tensors, since it has averages)"))
      #expect(archive.errors.contains("left out: the optimizer's state (2 tensors)"))
      #expect(archive.errors.contains("left out: recipe (text of the file's metadata)"))
      let weights = try StateDictionary(contentsOf: folder.appending(path: "w.pth"))
      #expect(weights.entries.map(\.key) == ["w"])
      #expect(try weights.tensor("w").array(Double.self) == [2])
      #expect(try convert(input, path(folder, "w.safetensors")).status == 0)
      let kept = try StateDictionary(contentsOf: folder.appending(path: "w.safetensors"))
      #expect(kept.metadata == metadata && kept.entries.map(\.key) == ["w"])
      #expect(try kept.tensor("w").array(Double.self) == [2])
    }
  }

  @Test func anExportedRunStillPredicts() throws {
    let toy = try ToyProject()
    defer { toy.remove() }
    let training = try Tool.run(
      "train", "--threads", "1", "--recipe", toy.path("recipe.yaml"), "--output", toy.path("run"))
    #expect(training.status == 0, "\(training.errors)")
    #expect(try convert(toy.path("run/last.safetensors"), toy.path("out.safetensors")).status == 0)
    let outputs = try ["run/last.safetensors", "out.safetensors"].map {
      try Tool.run(
        "predict", "--json", "--threads", "1", "--checkpoint", toy.path($0), toy.path("data/val/dark"))
    }
    #expect(outputs[0].status == 0 && outputs[1].status == 0, "\(outputs[1].errors)")
    #expect(!outputs[0].output.isEmpty && outputs[0].output == outputs[1].output)
  }

  @Test func pyTorchFilesAreInspected() throws {
    let text = try Tool.run("inspect", fixture("training4.pth")).output
    for line in [
      "format: PyTorch", "weights: model_ema", "also with tensors: \"\", model",
      "  meter: object of __main__.Meter",
      "8 tensors (1 int64, 7 float32)",
    ] {
      #expect(text.contains(line), "\(line)")
    }
    let object = try report(Tool.run("inspect", fixture("wrapped.pth"), "--json"))
    #expect(
      object["selection"] as? String == "state_dict" && object["stripped_prefix"] as? String == "module.")
  }
}

@Suite struct VerifyWeightsTests {
  private static let reference = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../Fixtures/models/sparx_mamba_t.json").standardizedFileURL.path(
      percentEncoded: false)

  /// Writes the reference's weights as PyTorch would, all keys behind `module.`.
  private func writeFilled(to url: URL, changing key: String? = nil) throws {
    struct Reference: Decodable {
      struct Entry: Decodable {
        let key: String
        let shape: [Int]
        let lo: Double?
        let hi: Double?
      }

      let state: [Entry]
    }
    let reference = try JSONDecoder().decode(
      Reference.self, from: Data(contentsOf: URL(filePath: Self.reference)))
    let state = Dictionary(uniqueKeysWithValues: reference.state.map { ("module." + $0.key, $0) })
    let entries = reference.state.map {
      StateDictionary.Entry(
        key: "module." + $0.key, dtype: $0.lo == nil ? .int64 : .float32, shape: $0.shape)
    }
    try StateDictionary.write(entries, as: .pyTorch, to: url) { entry in
      let filled = try #require(state[entry.key])
      guard let lo = filled.lo, let hi = filled.hi else { return Tensor.zeros(entry.shape, dtype: .int64) }
      let tensor = Tensor.filled(entry.shape, key: filled.key, low: lo, high: hi, dtype: .float32)
      return filled.key == key ? tensor * 1.01 : tensor
    }
  }

  @Test(arguments: [(nil, 0), ("patch_embed.0.weight", 1)] as [(String?, Int32)])
  func weightsOfAFileGiveTheReferencesNumbers(_ changed: String?, _ status: Int32) throws {
    try inScratchFolder { folder in
      let url = folder.appending(path: "filled.pth")
      try writeFilled(to: url, changing: changed)
      let result = try Tool.run(
        "verify", Self.reference, "--weights", url.path(percentEncoded: false), "--case", "eval_192x256")
      #expect(result.status == status, "\(result.output) \(result.errors)")
      #expect(result.errors.contains("filled.pth, PyTorch, the outermost dictionary"))
    }
  }

  @Test func weightsThatAreNotTheModelsAreRefused() throws {
    try inScratchFolder { folder in
      let url = folder.appending(path: "w.safetensors")
      try SafeTensors.write([("patch_embed.0.weight", Tensor.ones([48, 3, 3, 3]))], to: url)
      let result = try Tool.run("verify", Self.reference, "--weights", url.path(percentEncoded: false))
      #expect(result.status == 2 && result.errors.contains("w.safetensors"), "\(result.errors)")
      #expect(result.errors.contains("missing"))
      let other = try Tool.run(
        "verify", Self.reference, "--weights", url.path(percentEncoded: false), "--case", "dense_160x224")
      #expect(other.status == 2)
      #expect(
        other.errors.contains("case `dense_160x224` has weights of its own, which --weights cannot replace"))
    }
  }
}
