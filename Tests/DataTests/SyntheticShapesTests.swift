import Foundation
import Testing

@testable import Data

@Suite struct SyntheticShapesTests {
  /// FNV-1a, 64 bits.
  private func checksum(_ bytes: some Sequence<UInt8>) -> UInt64 {
    bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 }
  }

  @Test(
    "Pictures are the same in every run",
    arguments: [
      (SyntheticShapes.Split.training, 11_144_513_012_335_560_503 as UInt64),
      (.validation, 4_626_094_011_901_273_530),
    ])
  func stored(split: SyntheticShapes.Split, expected: UInt64) {
    let shapes = SyntheticShapes(count: 40, imageSize: 32, split: split, seed: 7)
    #expect(checksum((0..<40).flatMap { shapes.sample(at: $0).image.pixels }) == expected)
  }

  @Test func sampleDependsOnSeedSplitAndIndexOnly() {
    let shapes = SyntheticShapes(count: 100, imageSize: 24)
    let longer = SyntheticShapes(count: 2000, imageSize: 24)
    #expect(shapes.sample(at: 57).image == longer.sample(at: 57).image)
    let others = [
      shapes.sample(at: 47).image, SyntheticShapes(count: 100, imageSize: 24, seed: 1).sample(at: 57).image,
      SyntheticShapes(count: 100, imageSize: 24, split: .validation).sample(at: 57).image,
    ]
    #expect(!others.contains(shapes.sample(at: 57).image))
  }

  @Test func classesAreEquallyFrequent() {
    let shapes = SyntheticShapes(count: 50, imageSize: 16)
    #expect(shapes.classNames.count == 10 && shapes.classNames[3] == "star")
    let counts = (0..<50).reduce(into: [Int](repeating: 0, count: 10)) {
      $0[shapes.sample(at: $1).label] += 1
    }
    #expect(counts == [Int](repeating: 5, count: 10))
  }

  @Test("Boxes are tight around masks, which lie inside the picture", arguments: [16, 32, 65])
  func boxesAreTight(size: Int) {
    let shapes = SyntheticShapes(count: 60, imageSize: size, seed: 3)
    for index in 0..<60 {
      let sample = shapes.annotatedSample(at: index)
      let covered = sample.mask.indices.filter { sample.mask[$0] == 1 }
      let (rows, columns) = (covered.map { $0 / size }, covered.map { $0 % size })
      #expect(sample.box.top == rows.min() && sample.box.bottom - 1 == rows.max())
      #expect(sample.box.left == columns.min() && sample.box.right - 1 == columns.max())
      let share = Double(covered.count) / Double(size * size)
      #expect(share > 0.06 && share < 0.3, "\(sample.shape) covers \(share)")
      #expect(sample.mask.count == size * size && sample.mask.allSatisfy { $0 < 2 })
    }
  }

  @Test(
    "A shape's outline has an area of 1 and the centre where it belongs",
    arguments: SyntheticShapes.Shape.allCases)
  func outlines(shape: SyntheticShapes.Shape) {
    let outline = shape.outline
    let (cells, side) = (301, 2 * outline.radius)
    var inside = 0
    for row in 0..<cells {
      for column in 0..<cells {
        let point = (SIMD2(Float(column), Float(row)) + 0.5) / Float(cells) * side - outline.radius
        if outline.distance(to: point) < 0 { inside += 1 }
      }
    }
    let area = Float(inside) * side * side / Float(cells * cells)
    #expect(abs(area - 1) < 0.02)
    let center = outline.distance(to: .zero)
    #expect([.ring, .crescent].contains(shape) ? center > -0.2 : center < 0)
    #expect(outline.distance(to: SIMD2(10, 0)) > 8)
  }

  @Test("Distances to simple figures are those of geometry")
  func distances() {
    let square = Outline(added: [.polygon([[-1, -1], [1, -1], [1, 1], [-1, 1]])])
    #expect(square.distance(to: [0, 0]) == -1)
    #expect(square.distance(to: [3, 0]) == 2)
    #expect(abs(square.distance(to: [4, 5]) - 5) < 1e-6)
    let ring = Outline(
      added: [.disc(center: .zero, radius: 2)], removed: [.disc(center: .zero, radius: 1)])
    #expect(ring.distance(to: .zero) == 1)
    #expect(ring.distance(to: [1.5, 0]) == -0.5)
    let moved = ring.placed(at: [10, 0], axis: [0, 2])
    #expect(moved.distance(to: [10, 3]) == -1)
  }

  @Test func writtenFilesHoldTheSet() async throws {
    try await withTemporaryFolder { folder in
      let shapes = SyntheticShapes(count: 20, imageSize: 24, seed: 2)
      let target = folder.appending(path: "shapes")
      try shapes.write(to: target)

      let read = try ImageFolder(root: target.appending(path: "images"))
      #expect(read.count == 20 && read.classNames == shapes.classNames.sorted())
      let star = try read.sample(at: try #require(read.classNames.firstIndex(of: "star")) * 2)
      #expect(star.image == shapes.sample(at: 3).image)
      let mask = try Image(contentsOf: target.appending(path: "masks/star/000003.png"))
      #expect((0..<576).map { mask.pixels[$0 * 3] / 255 } == shapes.annotatedSample(at: 3).mask)

      let json = try JSONDecoder().decode(
        COCOFile.self, from: Foundation.Data(contentsOf: target.appending(path: "annotations.json")))
      #expect(json.images.map(\.file_name)[3] == "star/000003.png")
      #expect(json.categories.map(\.name) == shapes.classNames)
      let annotation = json.annotations[3]
      let sample = shapes.annotatedSample(at: 3)
      #expect(annotation.bbox == [sample.box.left, sample.box.top, sample.box.width, sample.box.height])
      #expect(annotation.category_id == 4 && annotation.image_id == json.images[3].id)
      var decoded: [UInt8] = []
      for (run, length) in annotation.segmentation.counts.enumerated() {
        decoded += [UInt8](repeating: UInt8(run % 2), count: length)
      }
      let rows = (0..<24).flatMap { row in (0..<24).map { column in decoded[column * 24 + row] } }
      #expect(rows == sample.mask)

      #expect(throws: DatasetError.folderNotEmpty(path: target.path(percentEncoded: false))) {
        try shapes.write(to: target)
      }
    }
  }

  private struct COCOFile: Decodable {
    struct Picture: Decodable {
      let id: Int
      let file_name: String
    }
    struct Runs: Decodable {
      let counts: [Int]
    }
    struct Annotation: Decodable {
      let image_id: Int
      let category_id: Int
      let bbox: [Int]
      let segmentation: Runs
    }
    struct Category: Decodable {
      let name: String
    }
    let images: [Picture]
    let annotations: [Annotation]
    let categories: [Category]
  }
}
