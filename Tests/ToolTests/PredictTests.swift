import Backbones
import Data
import Foundation
import Layers
import TestSupport
import Testing
import Torch

@Suite struct PredictTests {
  private static let random = "--model sparx_mamba_micro --random-weights --threads 1 --json"

  private func picture(_ level: Int, height: Int = 40, width: Int = 50) -> Image {
    Image(
      height: height, width: width,
      pixels: (0..<height * width * 3).map { UInt8(truncatingIfNeeded: $0 * level / 3 + level) })
  }

  private func makePictures(in root: URL) throws {
    for name in ["a", "a/deep", "b"] {
      try FileManager.default.createDirectory(
        at: root.appending(path: name), withIntermediateDirectories: true)
    }
    for (index, name) in ["a/2.png", "a/10.png", "a/deep/1.png", "b/x.png", "b/.hidden.png"].enumerated() {
      try picture(index + 2).writePNG(to: root.appending(path: name))
    }
    try picture(9).writeJPEG(to: root.appending(path: "b/y.JPEG"))
    try Foundation.Data("no picture".utf8).write(to: root.appending(path: "b/broken.jpg"))
    try Foundation.Data("a text".utf8).write(to: root.appending(path: "b/note.txt"))
    try FileManager.default.createSymbolicLink(
      atPath: root.appending(path: "a/deep/up").path, withDestinationPath: "..")
  }

  private func firstClass(_ object: [String: Any]) throws -> (index: Int, name: String, probability: Double) {
    let best = try #require((object["classes"] as? [[String: Any]])?.first)
    #expect(Set(best.keys) == ["index", "name", "probability"])
    return (
      try #require(best["index"] as? Int), try #require(best["name"] as? String),
      try #require(best["probability"] as? Double)
    )
  }

  /// What is named, and what is read in which order.
  @Test(
    arguments: [
      ("b/x.png a/2.png", ["b/x.png", "a/2.png"]),
      ("a", ["a/10.png", "a/2.png", "a/deep/1.png"]),
      ("b a/2.png", ["b/x.png", "b/y.JPEG", "a/2.png"]),
      ("'a/*.png'", ["a/10.png", "a/2.png"]),
      ("'a/?.png'", ["a/2.png"]),
      ("'**/[0-9].png'", ["a/2.png", "a/deep/1.png"]),
      ("'a/**'", ["a/10.png", "a/2.png", "a/deep/1.png"]),
      ("'b/**/*.png'", ["b/x.png"]),
      ("'b/.*.png'", ["b/.hidden.png"]),
      ("--from-list list.txt", ["b/x.png", "a/2.png", "b/y.JPEG"]),
      ("--from-list - < list.txt", ["b/x.png", "a/2.png", "b/y.JPEG"]),
      ("a/deep", ["a/deep/1.png", "a/deep/up/10.png", "a/deep/up/2.png"]),
      ("--null --from-list <(printf 'b/x.png\\0a/2.png\\0') ", []),
      ("a/2.png --null --from-list - < list0", ["a/2.png", "b/x.png", "a/10.png"]),
      ("a/2.png - < b/x.png", ["a/2.png", "-"]),
    ] as [(String, [String])]) func picturesInTheOrderOfTheirNames(names: String, expected: [String]) throws
  {
    try inScratchFolder { root in
      try makePictures(in: root)
      try Foundation.Data("b/x.png\r\na/2.png\n\nb/y.JPEG".utf8).write(to: root.appending(path: "list.txt"))
      try Foundation.Data("b/x.png\0a/10.png\0".utf8).write(to: root.appending(path: "list0"))
      let result = try Shell.run("ganglion predict \(Self.random) --top-k 1 \(names)", in: root)
      let isWhole = !expected.isEmpty && !names.hasPrefix("b ")
      #expect(result.status == (isWhole ? 0 : 1), "\(result.errors)")
      #expect(try result.objects().map { $0["file"] as? String } == expected)
    }
  }

  /// A batch, its size and the threads change nothing; what cannot be read is passed over where it stands.
  @Test func batchesChangeNothing() throws {
    try inScratchFolder { root in
      try makePictures(in: root)
      let names = "a/2.png b/broken.jpg b/x.png b/y.JPEG a/10.png none.png a/deep/1.png"
      let one = try Shell.run("ganglion predict \(Self.random) --batch-size 1 --workers 1 \(names)", in: root)
      let many = try Shell.run(
        "ganglion predict \(Self.random) --batch-size 3 --workers 3 \(names)", in: root)
      for result in [one, many] {
        #expect(result.status == 1)
        #expect(result.complaints.count == 2, "\(result.errors)")
        #expect(result.complaints.first?.contains("b/broken.jpg: expected a JPEG or PNG picture") == true)
        #expect(result.complaints.last?.contains("none.png: cannot be read") == true)
      }
      let (first, second) = (try one.objects(), try many.objects())
      #expect(
        first.map { $0["file"] as? String } == ["a/2.png", "b/x.png", "b/y.JPEG", "a/10.png", "a/deep/1.png"])
      #expect(first.map { $0["file"] as? String } == second.map { $0["file"] as? String })
      for (a, b) in zip(first, second) {
        let (x, y) = (try firstClass(a), try firstClass(b))
        #expect(abs(x.probability - y.probability) < 1e-5)
      }
    }
  }

  /// Weights in a file give what the same weights in memory give, under the names of ImageNet or others.
  @Test func weightsOfAFile() throws {
    try inScratchFolder { root in
      let model = Architecture.sparxMambaMicro.makeModel()
      let favourite = 207
      withoutGradients {
        model.store["classifier.3.bias"]?.tensor.copy(
          from: Tensor((0..<1000).map { Float($0 == favourite ? 20 : 0) }))
      }
      try SafeTensors.write(
        model.store.entries.map { ($0.key, $0.tensor) }, to: root.appending(path: "w.safetensors"))
      try picture(3).writePNG(to: root.appending(path: "a.png"))
      let names = (0..<1000).map { "thing \($0)" }.joined(separator: "\n")
      try Foundation.Data(names.utf8).write(to: root.appending(path: "names.txt"))
      let line = "ganglion predict --model sparx_mamba_micro --weights w.safetensors --json --top-k 1 a.png"
      let plain = try Shell.run(line, in: root)
      #expect(plain.status == 0, "\(plain.errors)")
      let best = try firstClass(try #require(try plain.objects().first))
      #expect(best.index == favourite && best.name == "golden retriever" && best.probability > 0.9)
      let named = try Shell.run("\(line) --classes names.txt", in: root)
      #expect(try firstClass(try #require(try named.objects().first)).name == "thing \(favourite)")
    }
  }

  /// Tensors that authors once published in another shape are taken, and that is said.
  @Test func olderShapesAreTakenWithANote() throws {
    try inScratchFolder { root in
      let model = Architecture.vmambaMicro.makeModel(seed: 4)
      try picture(3).writePNG(to: root.appending(path: "a.png"))
      let entries = model.store.entries.map { ($0.key, $0.tensor.detached()) }
      let older = entries.map { key, tensor in
        (
          key.replacingOccurrences(of: ".op.", with: ".self_attention."),
          key.hasSuffix("in_proj.weight") ? tensor.reshape(tensor.shape + [1, 1]) : tensor
        )
      }
      var lines: [String] = []
      for (name, tensors) in [("new", entries), ("old", older)] {
        try SafeTensors.write(tensors, to: root.appending(path: "\(name).safetensors"))
        let result = try Shell.run(
          "ganglion predict --model vmamba_micro --weights \(name).safetensors --json --threads 1 a.png",
          in: root)
        #expect(result.status == 0, "\(result.errors)")
        let note =
          "old.safetensors: tensors read: 60 under older names (self_attention is op); 6 as convolutions"
        #expect(result.errors.contains(note) == (name == "old"), "\(result.errors)")
        lines.append(result.output)
      }
      #expect(lines[0] == lines[1])
    }
  }

  /// Copies are called as their pictures, never take a name twice, and leave the pictures as they are.
  @Test func annotatedCopies() throws {
    try inScratchFolder { root in
      try makePictures(in: root)
      try FileManager.default.copyItem(
        at: root.appending(path: "a/2.png"), to: root.appending(path: "b/2.png"))
      // A PNG picture under the name of a JPEG.
      try FileManager.default.copyItem(
        at: root.appending(path: "a/2.png"), to: root.appending(path: "b/odd.jpg"))
      let before = try Foundation.Data(contentsOf: root.appending(path: "a/2.png"))
      let result = try Shell.run(
        "ganglion predict \(Self.random) --top-k 2 --annotate seen a b - < b/y.JPEG", in: root)
      #expect(result.status == 1 && result.complaints.count == 1, "\(result.errors)")
      let seen = root.appending(path: "seen")
      #expect(
        try files(in: seen) == [
          "1.png", "10.png", "2-2.png", "2.png", "odd.png", "standard-input.jpg", "x.png", "y.JPEG",
        ])
      for name in try files(in: seen) {
        let bytes = Array(try Foundation.Data(contentsOf: seen.appending(path: name)))
        let format = ImageFormat(signatureOf: bytes)
        #expect(format == (name.lowercased().hasSuffix("png") ? .png : .jpeg), "\(name)")
        // 50 pixels become 450, and a panel follows.
        let copy = try Image(decoding: bytes, name: name)
        #expect(copy.width == 450 && copy.height > 360, "\(name)")
      }
      #expect(try Foundation.Data(contentsOf: root.appending(path: "a/2.png")) == before)
    }
  }

  /// The folders of ImageNet are recognised, some of them or all, and labelled in its order.
  @Test(arguments: ["data", "data/val"]) func evaluationOfSomeSynsets(place: String) throws {
    try inScratchFolder { root in
      for id in ["n01440764", "n02099601"] {
        let folder = root.appending(path: "\(place)/\(id)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try picture(5).writePNG(to: folder.appending(path: "1.png"))
      }
      let model = Architecture.sparxMambaMicro.makeModel()
      withoutGradients {
        model.store["classifier.3.bias"]?.tensor.copy(
          from: Tensor((0..<1000).map { Float($0 == 207 ? 20 : 0) }))
      }
      try SafeTensors.write(
        model.store.entries.map { ($0.key, $0.tensor) }, to: root.appending(path: "w.safetensors"))
      let line = "ganglion evaluate --model sparx_mamba_micro --weights w.safetensors --data data"
      let result = try Shell.run("\(line) --json", in: root)
      #expect(result.status == 0, "\(result.errors)")
      let report = try #require(try result.objects().first)
      #expect(report["count"] as? Int == 2)
      #expect(report["top1"] as? Double == 50)
      let confusion = try #require(report["confusion"] as? [[Int]])
      #expect(confusion.count == 1000 && confusion[0][207] == 1 && confusion[207][207] == 1)
      let text = try Shell.run(line, in: root)
      #expect(text.output.contains("golden retriever  100.00 %  of 1"), "\(text.output)")
      #expect(text.output.contains("and 998 classes without images"))
    }
  }
}
