import Data
import Foundation
import Testing

@Suite struct CaptionTests {
  private let lines = [CaptionLine("golden retriever", 0.75), CaptionLine("tabby", 0.25)]

  @Test(arguments: [
    (1, 1, 440), (8, 8, 55), (32, 32, 14), (300, 439, 2), (300, 440, 1), (200, 4000, 1), (900, 440, 1),
  ])
  func thePictureStaysAsItIs(height: Int, width: Int, factor: Int) {
    let pixels = (0..<height * width * 3).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    let picture = Image(height: height, width: width, pixels: pixels)
    let captioned = picture.captioned(lines)
    #expect(captioned.width == width * factor)
    #expect(captioned.height > height * factor)
    for (row, column) in [(0, 0), (height - 1, width - 1), (height / 2, width / 3)] {
      #expect(captioned[row * factor, column * factor] == picture[row, column])
      #expect(captioned[row * factor + factor - 1, column * factor + factor - 1] == picture[row, column])
    }
  }

  @Test func aTallPictureStandsInTheMiddle() {
    let captioned = Image(height: 1100, width: 3, red: 200).captioned(lines)
    #expect(captioned.width == 440)
    #expect(captioned.height < 1400)
    let bright = (0..<440).filter { captioned[500, $0] == SIMD3(200, 0, 0) }
    #expect(bright.count == 3 && abs((bright.first ?? 0) - 218) <= 1)
  }

  /// The bar's bright part is as long as the share says.
  @Test(arguments: [0.0, 0.25, 0.5, 1.0]) func barsAreAsLongAsTheShares(share: Double) {
    func brightness(_ share: Double) -> Int {
      let panel = Image(height: 400, width: 880).captioned([CaptionLine("", share)])
      return (400..<panel.height).map { row in
        (0..<700).count { panel[row, $0].y > 180 && panel[row, $0].x < 100 }
      }.max() ?? 0
    }
    let whole = brightness(1)
    #expect(whole > 150)
    #expect(abs(brightness(share) - Int(share * Double(whole))) <= 12)
  }

  /// Text of any kind and length stays inside its picture and differs from no text.
  @Test(arguments: ["A", "gjpqy ,;_", String(repeating: "wide ", count: 200), "Käse", "日本", "\u{1b}[2J", ""])
  func anyTextCanBeDrawn(text: String) {
    let picture = Image(height: 200, width: 600)
    let (plain, drawn) = (picture.captioned([CaptionLine("", 0)]), picture.captioned([CaptionLine(text, 0)]))
    #expect(plain.height == drawn.height && plain.width == drawn.width)
    #expect((plain == drawn) == text.isEmpty)
    // The bar's column is free of text.
    let differing = (200..<drawn.height).contains { row in
      (310..<600).contains { drawn[row, $0] != plain[row, $0] }
    }
    #expect(!differing)
  }

  /// Every printable character has a shape of its own.
  @Test func everyCharacterIsDrawnDifferently() {
    let shapes = (33..<127).map { code in
      Image(height: 200, width: 600).captioned([CaptionLine(String(UnicodeScalar(UInt8(code))), 0)])
    }
    #expect(Set(shapes).count == shapes.count)
  }

  @Test func lettersWithMarksLoseThem() {
    let picture = Image(height: 200, width: 600)
    #expect(picture.captioned([CaptionLine("Käse", 0)]) == picture.captioned([CaptionLine("Kase", 0)]))
  }
}
