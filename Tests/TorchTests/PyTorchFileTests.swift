import Foundation
import TestSupport
import Testing
import Torch

/// Files that PyTorch wrote, against what it says is in them.
@Suite struct PyTorchFileTests {
  struct Expected: Decodable {
    struct Entry: Decodable {
      let key: String
      let dtype: String
      let shape: [Int]
      let bytes: String
    }

    let path: String
    let prefix: String
    let tensors: [Entry]
  }

  static let folder = (Bundle.module.resourceURL ?? Bundle.module.bundleURL).appending(
    path: "Fixtures/pytorch")

  static let expected: [String: Expected] = {
    do {
      return try JSONDecoder().decode(
        [String: Expected].self, from: Data(contentsOf: folder.appending(path: "expected.json")))
    } catch {
      fatalError("expected.json: \(error)")
    }
  }()

  static func open(_ name: String, selecting path: String? = nil) throws -> StateDictionary {
    try StateDictionary(contentsOf: folder.appending(path: name), selecting: path)
  }

  @Test(arguments: expected.keys.sorted()) func everyTensorHasItsBytes(_ name: String) throws {
    let expected = try #require(Self.expected[name])
    let file = try Self.open(name)
    #expect(file.format == (name.hasPrefix("old_") ? .oldPyTorch : .pyTorch))
    #expect(file.selection?.path == expected.path && file.selection?.prefix == expected.prefix)
    #expect(file.entries.map(\.key) == expected.tensors.map(\.key))
    for (entry, wanted) in zip(file.entries, expected.tensors) {
      #expect(entry.dtype.name == wanted.dtype && entry.shape == wanted.shape, "\(entry.key)")
      let tensor = try file.tensor(entry.key)
      #expect(tensor.dtype == entry.dtype && tensor.shape == entry.shape, "\(entry.key)")
      let hexadecimal = tensor.bytes().map { String(0x100 + Int($0), radix: 16).dropFirst() }.joined()
      #expect(hexadecimal == wanted.bytes, "\(entry.key)")
    }
  }

  @Test func aTrainingCheckpointSaysWhatElseItHolds() throws {
    let selection = try #require(try Self.open("training2.pth").selection)
    #expect(selection.candidates == ["", "model", "model_ema"])
    let kinds = Dictionary(uniqueKeysWithValues: selection.contents.map { ($0.key, $0.kind) })
    for (key, kind) in [
      "model": "dictionary of 8", "epoch": "integer", "huge": "integer",
      "args": "object of argparse.Namespace",
      "meter": "object of __main__.Meter", "scores": "dictionary of 1", "blob": "6 bytes",
      "frozen": "set of 1",
      "size": "tuple of 2", "dtype": "the class or function torch.float16", "text": "text", "nothing": "None",
      "best": "object of numpy._core.multiarray.scalar", "rng": "tensor of uint8 [16]",
    ] {
      #expect(kinds[key] == kind)
    }
  }

  @Test func dictionariesAreChosenByPath() throws {
    let model = try Self.open("training3.pth", selecting: "model")
    let average = try Self.open("training3.pth", selecting: "model_ema")
    let (own, averaged) = (try model.tensor("0.bias").bytes(), try average.tensor("0.bias").bytes())
    #expect(own != averaged)
    let outermost = try Self.open("training3.pth", selecting: "")
    #expect(outermost.entries.map(\.key) == ["rng"])
    #expect(try Self.open("unusual.pth", selecting: "net.inner").tensor("w").array(Double.self) == [1, 1])
  }

  struct Refusal: Sendable {
    let name: String
    var path: String?
    let says: String
  }

  @Test(arguments: [
    Refusal(name: "bare_tensor.pth", says: "holds one tensor of float32 [2] instead of a dictionary"),
    Refusal(name: "whole_module.pth", says: "holds one object of torch.nn.modules.linear.Linear instead"),
    Refusal(name: "script.pt", says: "is a TorchScript program"),
    Refusal(name: "unusual.pth", says: "its keys are 'epoch', 'net'; name one of 'net.inner'"),
    Refusal(
      name: "training4.pth", path: "optimizer", says: "has no tensors, its keys are 'state', 'param_groups'"),
    Refusal(
      name: "training4.pth", path: "teacher",
      says: "holds no dictionary 'teacher'; name one of '\"\"', 'model'"),
    Refusal(
      name: "../python.safetensors", path: "model", says: "is a safetensors file, which holds one dictionary"),
  ]) func whatIsNoDictionaryOfWeightsIsNamed(_ refusal: Refusal) throws {
    let error = try #require(throws: CheckpointError.self) {
      try Self.open(refusal.name, selecting: refusal.path)
    }
    #expect(error.description.contains(refusal.says), "\(error)")
  }

  @Test func tensorsOfOtherTypesAreListedAndRefused() throws {
    let file = try Self.open("others.pth")
    #expect(file.entries.map(\.key) == ["weight"])
    #expect(file.unreadable.map(\.key) == ["complex", "short", "small", "quantized", "sparse", "negated"])
    #expect(file.selection?.others.map { "\($0.key) \($0.kind)" } == ["step integer"])
    for (key, says) in [
      "complex":
        "tensor 'complex': has elements of complex64, which this build lacks; convert it to one of uint8",
      "quantized": "is quantized", "short": "elements of uint16", "sparse": "_rebuild_sparse_tensor",
      "negated": "is stored negated",
    ] {
      let error = try #require(throws: CheckpointError.self) { try file.tensor(key) }
      #expect(error.description.contains(says), "\(error)")
    }
    #expect(throws: CheckpointError.self) { try file.tensors() }
  }

  @Test func aMissingTensorIsNamedWithWhatThereIs() throws {
    let error = try #require(throws: CheckpointError.self) { try Self.open("module.pth").tensor("head") }
    #expect(
      error.description.contains(
        "tensor 'head': is not in the dictionary; choose one of its 8, such as '0.weight'"))
  }

  @Test func formatsAreFoundByTheBytes() throws {
    try inScratchFolder { folder in
      let url = folder.appending(path: "misnamed.pth")
      try FileManager.default.copyItem(at: Self.folder.appending(path: "../python.safetensors"), to: url)
      let file = try StateDictionary(contentsOf: url)
      #expect(file.format == .safeTensors && file.selection == nil && file.entries.count == 12)
    }
  }

  @Test(arguments: [
    ("version https://git-lfs.github.com/spec/v1\n", "is a pointer to a file in Git LFS"),
    ("\u{0}<!DOCTYPE html><html>", "is neither a safetensors file nor one written by torch.save"),
    (String(repeating: "a\u{0}", count: 128) + "\u{0}ustar\u{0}00", "is a tar archive"),
    ("PK", "a safetensors file starts with 8 bytes"), ("", "a safetensors file starts with 8 bytes"),
  ]) func otherKindsOfFilesAreNamed(_ content: String, _ says: String) throws {
    try inScratchFolder { folder in
      let url = folder.appending(path: "weights.pth")
      try Data(content.utf8).write(to: url)
      let error = try #require(throws: CheckpointError.self) { try StateDictionary(contentsOf: url) }
      #expect(error.description.contains(says), "\(error)")
    }
  }

  @Test func aPlainPickleIsNamed() throws {
    try inScratchFolder { folder in
      let url = folder.appending(path: "weights.pth")
      try Data([0x80, 4, 0x95, 1, 0, 0, 0, 0, 0, 0, 0, 0x7d, 0x2e]).write(to: url)
      let error = try #require(throws: CheckpointError.self) { try StateDictionary(contentsOf: url) }
      #expect(error.description.contains("is a pickle that torch.save did not write"))
    }
  }
}
