import Foundation
import TestSupport
import Testing
import Verification

/// A broken file and what is said of it.
struct BrokenFile: Sendable, CustomTestStringConvertible {
  let name: String
  let content: String
  let key: String?
  let problem: String

  var testDescription: String { name }
}

@Suite struct ReadingTests {
  private static func file(state: String = "", cases: String = "", more: String = "") -> String {
    #"{"name": "sparx_mamba_t", "parameters": 1, "state": [\#(state)], "cases": [\#(cases)]\#(more)}"#
  }

  private static func item(_ more: String, kind: String = "forward", shape: String = "[1, 3, 32, 32]")
    -> String
  {
    #"{"id": "a", "kind": "\#(kind)", "fill_prefix": "", "input_key": "x", "input_shape": \#(shape), "#
      + #""input_lo": 0, "input_hi": 1\#(more)}"#
  }

  private static func stage(_ shape: String = "[1, 2, 4, 4]", absmax: String = "1", first: Int = 32) -> String
  {
    let numbers = { (count: Int) in "[" + Array(repeating: "0.5", count: count).joined(separator: ",") + "]" }
    return #"{"name": "stage1", "shape": \#(shape), "mean": 0, "std": 1, "absmax": \#(absmax), "#
      + #""first32": \#(numbers(first)), "strided32": \#(numbers(32))}"#
  }

  private static func forward(_ stage: String, errors: String = "[1e-7]", logits: String = "[1]") -> String {
    item(
      #", "logits": \#(logits), "stages": [\#(stage)], "float32_reference_error": {"logits": 1e-7, "stages": \#(errors)}"#
    )
  }

  static let files = [
    BrokenFile(name: "empty", content: "", key: nil, problem: "is not JSON, or ends too early"),
    BrokenFile(name: "text", content: "hello", key: nil, problem: "is not JSON, or ends too early"),
    BrokenFile(
      name: "truncated", content: String(file().dropLast(5)), key: nil,
      problem: "is not JSON, or ends too early"),
    BrokenFile(name: "list", content: "[]", key: nil, problem: "expected an object"),
    BrokenFile(
      name: "without state", content: #"{"name": "a", "parameters": 1}"#, key: "state", problem: "is missing"),
    BrokenFile(
      name: "name is a number", content: #"{"name": 3, "parameters": 1, "state": [], "cases": []}"#,
      key: "name",
      problem: "expected a text"),
    BrokenFile(
      name: "shape of texts", content: file(state: #"{"key": "w", "shape": ["a"]}"#),
      key: "state[0].shape[0]",
      problem: "expected a whole number"),
    BrokenFile(
      name: "unknown kind of tensor", content: file(state: #"{"key": "w", "shape": [1], "kind": "gate"}"#),
      key: "state[0].kind", problem: "gate"),
    BrokenFile(
      name: "negative size", content: file(state: #"{"key": "w", "shape": [-1]}"#), key: "state[0].shape",
      problem: "expected positive sizes"),
    BrokenFile(
      name: "size that overflows", content: file(state: #"{"key": "w", "shape": [4611686018427387904, 4]}"#),
      key: "state[0].shape", problem: "expected positive sizes"),
    BrokenFile(
      name: "half a range", content: file(state: #"{"key": "w", "shape": [1], "lo": 0}"#), key: "state[0]",
      problem: "both of `lo` and `hi`"),
    BrokenFile(
      name: "key twice", content: file(state: #"{"key": "w", "shape": [1]}, {"key": "w", "shape": [1]}"#),
      key: "state[1].key", problem: "twice"),
    BrokenFile(
      name: "unknown kind of case", content: file(cases: item("", kind: "dance")), key: "cases[0].kind",
      problem: "dance"),
    BrokenFile(
      name: "case without images",
      content: file(cases: #"{"id": "a", "kind": "forward", "fill_prefix": ""}"#),
      key: "cases[0].input_key", problem: "is missing"),
    BrokenFile(
      name: "case without logits", content: file(cases: item("")), key: "cases[0].logits",
      problem: "is missing"),
    BrokenFile(
      name: "no logits", content: file(cases: forward(stage(), logits: "[]")), key: "cases[0].logits",
      problem: "got none"),
    BrokenFile(
      name: "too few errors", content: file(cases: forward(stage(), errors: "[]")),
      key: "cases[0].float32_reference_error.stages", problem: "expected 1 numbers, got 0"),
    BrokenFile(
      name: "too few samples", content: file(cases: forward(stage(first: 31))), key: "cases[0].stages[0]",
      problem: "expected 32 numbers in `first32`"),
    BrokenFile(
      name: "stage of zeros", content: file(cases: forward(stage(absmax: "0"))), key: "cases[0].stages[0]",
      problem: "positive `absmax`"),
    BrokenFile(
      name: "images of three sizes",
      content: file(cases: forward(stage()).replacing("[1, 3, 32, 32]", with: "[3, 32, 32]")),
      key: "cases[0].input_shape", problem: "expected four sizes"),
    BrokenFile(
      name: "case twice", content: file(cases: forward(stage()) + "," + forward(stage())), key: "cases[1].id",
      problem: "twice"),
    BrokenFile(
      name: "counts for no image", content: file(more: #", "flops": {"input": [3], "total": 1}"#),
      key: "flops.input",
      problem: "expected four sizes"),
  ]

  @Test(arguments: files) func brokenFilesAreSentences(_ file: BrokenFile) throws {
    try inScratchFolder { folder in
      let url = folder.appending(path: "broken.json")
      try Data(file.content.utf8).write(to: url)
      let error = #expect(throws: ReferenceError.self) { try Reference(contentsOf: url) }
      #expect(error?.key == file.key)
      #expect(error?.problem.contains(file.problem) == true, "\(error?.problem ?? "")")
      let sentence = error?.description ?? ""
      #expect(sentence.contains("broken.json") && sentence.contains(file.key ?? "broken.json"))
    }
  }

  @Test func unknownModelsAreListed() throws {
    try inScratchFolder { folder in
      let url = folder.appending(path: "other.json")
      try Data(Self.file().replacing("sparx_mamba_t", with: "resnet").utf8).write(to: url)
      let reference = try Reference(contentsOf: url)
      let error = #expect(throws: ReferenceError.self) { try ModelVerifier(reference, path: "other.json") }
      #expect(error?.description.contains("got `resnet`; known are sparx_mamba_t, sparx_mamba_s") == true)
    }
  }

  @Test func pathsThatAreNoReferences() throws {
    try inScratchFolder { folder in
      #expect(throws: ReferenceError.self) { try Reference(contentsOf: folder) }
      #expect(throws: ReferenceError.self) {
        try Reference(contentsOf: folder.appending(path: "missing.json"))
      }
      let path = folder.path(percentEncoded: false)
      #expect(throws: ReferenceError.self) { try ReferenceFiles.find([path]) }
      #expect(throws: ReferenceError.self) { try ReferenceFiles.find([path + "/missing"]) }
      for name in ["b.json", "a.json", ".hidden.json", "c.txt"] {
        try Data("{}".utf8).write(to: folder.appending(path: name))
      }
      #expect(try ReferenceFiles.find([path]).map(\.lastPathComponent) == ["a.json", "b.json"])
    }
  }

  @Test func shippedReferencesName() throws {
    let found = try ReferenceFiles.find([ShippedReferences.folder.path(percentEncoded: false)])
    #expect(!found.isEmpty)
    for url in found {
      #expect(try Reference(contentsOf: url).name == url.deletingPathExtension().lastPathComponent)
    }
  }
}
