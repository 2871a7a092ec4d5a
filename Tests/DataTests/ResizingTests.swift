import Data
import Testing

@Suite struct ResizingTests {
  struct Case: Decodable {
    let filter: ResizeFilter?
    let box: [Int]?
    let property: String?
    let factor: Float?
    let height: Int
    let width: Int
    let offset: Int
  }

  @Test("Resized pixels equal Pillow's for every filter, size and box")
  func equalsPillow() throws {
    let source = Image(height: 37, width: 53, pixels: try Fixture.bytes("resizing/source.rgb"))
    let results = try Fixture.bytes("resizing/results.rgb")
    let cases = try Fixture.json("resizing/cases.json", as: [Case].self)
    #expect(Set(cases.compactMap(\.filter)) == Set(ResizeFilter.allCases))
    for entry in cases {
      let expected = Array(results[entry.offset..<(entry.offset + entry.height * entry.width * 3)])
      if let filter = entry.filter {
        let box = entry.box.map {
          PixelRectangle(left: $0[0], top: $0[1], right: $0[2], bottom: $0[3])
        }
        let resized = source.resized(
          height: entry.height, width: entry.width, filter: filter, from: box)
        let isEqual = resized.pixels == expected
        #expect(isEqual, "\(entry)")
      }
    }
  }

  @Test("Recoloured pixels equal Pillow's ImageEnhance")
  func colorsEqualPillow() throws {
    let source = Image(height: 37, width: 53, pixels: try Fixture.bytes("resizing/source.rgb"))
    let results = try Fixture.bytes("resizing/results.rgb")
    let changes: [String: (Image, Float) -> Image] = [
      "brightness": { $0.brightnessScaled(by: $1) },
      "contrast": { $0.contrastScaled(by: $1) },
      "saturation": { $0.saturationScaled(by: $1) },
    ]
    var checked = 0
    for entry in try Fixture.json("resizing/cases.json", as: [Case].self) {
      guard let property = entry.property, let factor = entry.factor else { continue }
      let change = try #require(changes[property])
      let expected = Array(results[entry.offset..<(entry.offset + source.pixels.count)])
      let isEqual = change(source, factor).pixels == expected
      #expect(isEqual, "\(property) times \(factor)")
      checked += 1
    }
    #expect(checked == 18)
  }

  struct PlaneCases: Decodable {
    struct Planes: Decodable {
      let shape: [Int]
      let values: [UInt8]

      /// The picture whose planes these are: `[3, H, W]` to `[H, W, 3]`.
      var image: Image {
        let area = shape[1] * shape[2]
        return Image(
          height: shape[1], width: shape[2],
          pixels: (0..<(area * 3)).map { values[$0 % 3 * area + $0 / 3] })
      }
    }
    struct Case: Decodable {
      let name: String
      let input: Planes
      let bicubic: Planes
      let bilinear: Planes
    }
    let cases: [Case]
  }

  @Test("The stored operator cases are met bit for bit")
  func storedCases() throws {
    let cases = try Fixture.json("resizing/pillow.json", as: PlaneCases.self).cases
    #expect(cases.count == 5)
    for entry in cases {
      for (filter, expected) in [(ResizeFilter.bicubic, entry.bicubic), (.bilinear, entry.bilinear)] {
        let resized = entry.input.image.resized(
          height: expected.shape[1], width: expected.shape[2], filter: filter)
        let isEqual = resized == expected.image
        #expect(isEqual, "\(entry.name), \(filter)")
      }
    }
  }
}
