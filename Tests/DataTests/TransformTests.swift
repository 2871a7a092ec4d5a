import Randomness
import Testing

@testable import Data

@Suite struct TransformTests {
  @Test(
    "The shorter side gets its length and the other keeps the ratio, rounded down",
    arguments: [(100, 150, 60, 90), (150, 100, 90, 60), (333, 500, 60, 90), (97, 97, 60, 60)])
  func shortestEdge(height: Int, width: Int, expectedHeight: Int, expectedWidth: Int) {
    var random = CounterRandom(seed: 0)
    let resized = ResizeShortestEdge(60)(Image(height: height, width: width), using: &random)
    #expect((resized.height, resized.width) == (expectedHeight, expectedWidth))
  }

  @Test(
    "The size before a centre crop is rounded down",
    arguments: [(224, 0.9, 248), (224, 0.875, 256), (224, 0.95, 235), (224, 1, 224), (64, 0.875, 73)])
  func evaluationSize(crop: Int, fraction: Double, expected: Int) {
    #expect(ResizeShortestEdge(beforeCenterCrop: crop, cropFraction: fraction).length == expected)
  }

  @Test(
    "Margins of a centre crop round half to even; missing pixels are black",
    arguments: [(8, 5, 2), (10, 5, 2), (7, 5, 1), (9, 4, 2), (5, 5, 0)])
  func centerCropMargin(available: Int, length: Int, margin: Int) {
    var random = CounterRandom(seed: 0)
    let image = Image.pattern(height: available, width: available)
    let cropped = CenterCrop(height: length, width: length)(image, using: &random)
    #expect(cropped[0, 0] == image[margin, margin])
    #expect(cropped[length - 1, length - 1] == image[margin + length - 1, margin + length - 1])
  }

  @Test func centerCropPadsSmallImages() {
    var random = CounterRandom(seed: 0)
    let image = Image(height: 2, width: 3, red: 9, green: 8, blue: 7)
    let cropped = CenterCrop(height: 5, width: 6)(image, using: &random)
    let filled = (0..<5).map { row in (0..<6).map { cropped[row, $0] == SIMD3(9, 8, 7) ? 1 : 0 } }
    #expect(
      filled == [
        [0, 0, 0, 0, 0, 0], [0, 1, 1, 1, 0, 0], [0, 1, 1, 1, 0, 0], [0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0],
      ])
  }

  @Test func randomRectanglesKeepTheirRanges() {
    let crop = RandomResizedCrop(height: 8, width: 8, area: 0.2...0.6)
    var random = CounterRandom(seed: 1)
    var areas: [Double] = []
    for _ in 0..<2000 {
      let box = crop.rectangle(height: 300, width: 400, using: &random)
      #expect(box.left >= 0 && box.top >= 0 && box.right <= 400 && box.bottom <= 300)
      let ratio = Double(box.width) / Double(box.height)
      #expect(ratio > 0.74 && ratio < 1.35)
      areas.append(Double(box.width * box.height) / 120_000)
    }
    #expect(areas.allSatisfy { $0 > 0.195 && $0 < 0.605 })
    #expect(areas.contains { $0 < 0.25 } && areas.contains { $0 > 0.55 })
    #expect(Set(areas).count > 500)
  }

  @Test(
    "A picture that no random rectangle fits gives the largest centred one",
    arguments: [
      (10, 1000, PixelRectangle(left: 493, top: 0, height: 10, width: 13)),
      (1000, 10, PixelRectangle(left: 0, top: 493, height: 13, width: 10)),
      (100, 100, PixelRectangle(left: 0, top: 0, height: 100, width: 100)),
    ])
  func fallback(height: Int, width: Int, expected: PixelRectangle) {
    let crop = RandomResizedCrop(height: 8, width: 8, area: 40...50)
    var random = CounterRandom(seed: 1)
    #expect(crop.rectangle(height: height, width: width, using: &random) == expected)
  }

  @Test func croppedPixelsOutsideTheRectangleDoNotCount() {
    var image = Image.pattern(height: 20, width: 20)
    let rectangle = PixelRectangle(left: 5, top: 5, height: 10, width: 10)
    let before = image.cropped(to: rectangle).resized(height: 4, width: 4)
    image.pixels[(4 * 20 + 7) * 3] ^= 255
    #expect(image.cropped(to: rectangle).resized(height: 4, width: 4) == before)
    #expect(
      image.resized(height: 4, width: 4, from: rectangle)
        != Image.pattern(height: 20, width: 20).resized(height: 4, width: 4, from: rectangle))
  }

  @Test func flipsMirrorTheirShare() {
    let image = Image.pattern(height: 3, width: 5)
    let mirrored = image.flippedHorizontally()
    #expect(mirrored[1, 0] == image[1, 4] && mirrored[2, 3] == image[2, 1])
    #expect(mirrored.flippedHorizontally() == image)
    var random = CounterRandom(seed: 4)
    let flip = RandomHorizontalFlip(probability: 0.25)
    let share = (0..<2000).count { _ in flip(image, using: &random) == mirrored }
    #expect((400..<600).contains(share))
  }

  @Test func paddedCropsReachEveryOffset() {
    let image = Image(height: 4, width: 4, red: 200, green: 200, blue: 200)
    let crop = RandomPaddedCrop(height: 4, width: 4, padding: 2, fill: 3)
    var random = CounterRandom(seed: 2)
    var results: Set<Image> = []
    for _ in 0..<600 { results.insert(crop(image, using: &random)) }
    #expect(results.count == 25)
    #expect(results.contains(image))
    #expect(results.contains { $0[0, 0] == SIMD3(repeating: 3) && $0[2, 2] == SIMD3(repeating: 200) })
  }

  @Test func jitterChangesOnlyWhatItIsToldTo() {
    let image = Image.pattern(height: 6, width: 6)
    var random = CounterRandom(seed: 3)
    #expect(ColorJitter(brightness: 0, contrast: 0, saturation: 0)(image, using: &random) == image)
    let gray = Image(height: 2, width: 2, red: 90, green: 90, blue: 90)
    #expect(ColorJitter(brightness: 0, contrast: 0, saturation: 0.9)(gray, using: &random) == gray)
    let brightness = ColorJitter(brightness: 0.4, contrast: 0, saturation: 0)
    let levels = (0..<300).map { _ in Int(brightness(gray, using: &random)[0, 0].x) }
    #expect(levels.allSatisfy { (53...126).contains($0) })
    #expect(Set(levels).count > 30)
  }

  @Test func normalizationSplitsThePlanes() {
    let image = Image(height: 1, width: 2, pixels: [0, 51, 255, 102, 153, 204])
    let planes = Normalization(mean: [0, 0.2, 0.5], standardDeviation: [1, 0.5, 0.25])(image)
    let expected: [Float] = [0, 0.4, 0, 0.8, 2, 1.2]
    #expect(zip(planes, expected).allSatisfy { abs($0 - $1) < 1e-6 })
    #expect(planes.count == 6)
  }

  @Test func erasingFillsOneRectangleWithNoise() throws {
    let erasing = RandomErasing(probability: 0.5)
    var erased = 0
    for seed: UInt64 in 0..<200 {
      var random = CounterRandom(seed: seed)
      var planes = [Float](repeating: 100, count: 3 * 40 * 40)
      planes.withUnsafeMutableBufferPointer { erasing($0, height: 40, width: 40, using: &random) }
      let changed = planes.indices.filter { planes[$0] != 100 }
      if changed.isEmpty { continue }
      erased += 1
      let rows = changed.map { $0 / 40 % 40 }
      let columns = changed.map { $0 % 40 }
      let height = try #require(rows.max()) - (try #require(rows.min())) + 1
      let width = try #require(columns.max()) - (try #require(columns.min())) + 1
      #expect(changed.count == 3 * height * width)
      #expect((0.015...0.36).contains(Double(height * width) / 1600))
      #expect(changed.allSatisfy { abs(planes[$0]) < 7 })
    }
    #expect((70...130).contains(erased))
  }
}
