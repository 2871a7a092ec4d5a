import Data
import Foundation
import Testing

@Suite struct ImageFolderTests {
  private func put(_ image: Image, _ path: String, in root: URL) throws {
    let file = root.appending(path: path)
    try FileManager.default.createDirectory(
      at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try image.writePNG(to: file)
  }

  @Test func classesAndFilesComeInByteOrder() async throws {
    try await withTemporaryFolder { root in
      let paths = [
        "b/2.png", "b/10.PNG", "B/x.png", "é/x.jpg", "z/deep/er/1.png", "z/a.jpeg", "z/deep-2/1.png",
      ]
      for (index, path) in paths.enumerated() {
        try put(Image(height: 1, width: index + 1), path, in: root)
      }
      try Foundation.Data("text".utf8).write(to: root.appending(path: "z/notes.txt"))
      try Foundation.Data("text".utf8).write(to: root.appending(path: "README.md"))
      try Foundation.Data("junk".utf8).write(to: root.appending(path: "z/._a.jpeg"))
      try FileManager.default.createDirectory(
        at: root.appending(path: ".cache"), withIntermediateDirectories: true)

      let folder = try ImageFolder(root: root)
      #expect(folder.classNames == ["B", "b", "z", "é"])
      #expect(folder.ignoredFileCount == 1)
      #expect(folder.count == 7)
      let order = try (0..<folder.count).map { index in
        let sample = try folder.sample(at: index)
        return "\(sample.label) \(paths[sample.image.width - 1])"
      }
      #expect(
        order == [
          "0 B/x.png", "1 b/10.PNG", "1 b/2.png", "2 z/a.jpeg", "2 z/deep-2/1.png", "2 z/deep/er/1.png",
          "3 é/x.jpg",
        ])
    }
  }

  @Test func linksAreFollowedOnceRoundACycle() async throws {
    try await withTemporaryFolder { root in
      try put(Image(height: 1, width: 1), "data/a/1.png", in: root)
      let classFolder = root.appending(path: "data/a")
      try FileManager.default.createSymbolicLink(
        at: classFolder.appending(path: "again"), withDestinationURL: classFolder)
      try FileManager.default.createSymbolicLink(
        at: root.appending(path: "data/b"), withDestinationURL: classFolder)
      let folder = try ImageFolder(root: root.appending(path: "data"))
      #expect(folder.classNames == ["a", "b"])
      #expect(folder.count == 2)
    }
  }

  @Test func unusableFoldersAreNamed() async throws {
    try await withTemporaryFolder { root in
      let missing = root.appending(path: "none")
      #expect(throws: DatasetError.missingFolder(path: missing.path(percentEncoded: false))) {
        try ImageFolder(root: missing)
      }
      let error = #expect(throws: DatasetError.self) { try ImageFolder(root: root) }
      #expect(error == .noClasses(path: root.path(percentEncoded: false)))

      try put(Image(height: 1, width: 1), "full/1.png", in: root)
      try FileManager.default.createDirectory(
        at: root.appending(path: "void"), withIntermediateDirectories: true)
      let empty = #expect(throws: DatasetError.self) { try ImageFolder(root: root) }
      #expect(empty?.description.contains("/void: the class has no pictures (jpg, jpeg, png)") == true)
    }
  }

  @Test func damagedPicturesAreNamedWhenRead() async throws {
    try await withTemporaryFolder { root in
      try put(Image.pattern(height: 9, width: 9), "a/1.png", in: root)
      let file = root.appending(path: "a/2.png")
      let whole = try Array(Foundation.Data(contentsOf: root.appending(path: "a/1.png")))
      try Foundation.Data(whole.dropLast(20)).write(to: file)
      let folder = try ImageFolder(root: root)
      #expect(try folder.sample(at: 0).image == Image.pattern(height: 9, width: 9))
      let error = #expect(throws: ImageError.self) { try folder.sample(at: 1) }
      #expect(error?.description.contains("a/2.png: not a whole PNG picture") == true)
    }
  }

  @Test func cacheStaysWithinItsBudgetAndGivesTheSame() throws {
    let shapes = SyntheticShapes(count: 10, imageSize: 16)
    let cached = CachedDataset(shapes, byteBudget: 4 * 16 * 16 * 3 + 5)
    #expect(cached.count == 10 && cached.classNames == shapes.classNames)
    for _ in 0..<2 {
      for index in 0..<10 {
        let sample = try cached.sample(at: index)
        #expect(sample.image == shapes.sample(at: index).image && sample.label == index)
      }
      #expect(cached.cachedByteCount == 4 * 16 * 16 * 3)
    }
  }

  @Test func cacheReadsKeptPicturesOnce() throws {
    let counted = CountingDataset(count: 3)
    let cached = CachedDataset(counted, byteBudget: 1 << 20)
    for _ in 0..<3 { for index in 0..<3 { _ = try cached.sample(at: index) } }
    #expect(counted.readCount == 3)
  }
}
