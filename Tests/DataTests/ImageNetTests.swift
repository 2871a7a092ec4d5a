import Data
import Foundation
import Testing

@Suite struct ImageNetTests {
  @Test func aThousandClassesInTheOrderOfTheirIdentifiers() throws {
    let synsets = ImageNet.synsets
    #expect(synsets.count == 1000)
    #expect(synsets.map(\.id) == synsets.map(\.id).sorted())
    #expect(Set(synsets.map(\.id)).count == 1000)
    #expect(synsets.allSatisfy { $0.id.wholeMatch(of: /n[0-9]{8}/) != nil })
    #expect(Set(synsets.map { $0.name.lowercased() }).count == 1000)
    #expect(
      synsets.allSatisfy { !$0.name.isEmpty && $0.name == $0.name.trimmingCharacters(in: .whitespaces) })
    #expect(ImageNet.classNames == synsets.map(\.name))
    #expect(synsets.indices.allSatisfy { ImageNet.labels[synsets[$0].id] == $0 })
  }

  /// Positions that everyone who has used a classifier of ImageNet knows.
  @Test(arguments: [
    (0, "n01440764", "tench"), (207, "n02099601", "golden retriever"), (281, "n02123045", "tabby"),
    (388, "n02510455", "giant panda"), (817, "n04285008", "sports car"), (985, "n11939491", "daisy"),
    (999, "n15075141", "toilet tissue"), (134, "n02012849", "crane (bird)"),
    (517, "n03126707", "crane (machine)"),
  ]) func wellKnownPositions(label: Int, id: String, name: String) {
    #expect(ImageNet.synsets[label].id == id)
    #expect(ImageNet.classNames[label] == name)
  }

  private func folder(of names: [String], in root: URL) throws -> ImageFolder {
    for name in names {
      let folder = root.appending(path: name)
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      try Image(height: 2, width: 2).writePNG(to: folder.appending(path: "a.png"))
    }
    return try ImageFolder(root: root)
  }

  @Test func someFoldersKeepTheLabelsOfAll() async throws {
    try await withTemporaryFolder { root in
      let samples = try #require(
        SynsetFolder(try folder(of: ["n02099601", "n01440764", "n11939491"], in: root)))
      #expect(samples.count == 3)
      #expect(samples.classNames == ImageNet.classNames)
      #expect(try (0..<3).map { try samples.sample(at: $0).label } == [0, 207, 985])
    }
  }

  @Test func otherFoldersAreNotMistakenForImageNet() async throws {
    try await withTemporaryFolder { root in
      let mixed = try folder(of: ["n01440764", "cats"], in: root)
      #expect(SynsetFolder(mixed) == nil)
    }
  }
}
