import Data
import Foundation
import Testing

@Suite struct EncodingTests {
  @Test("PNG keeps every sample", arguments: [(1, 1), (3, 200), (57, 31)])
  func pngRoundTrip(height: Int, width: Int) throws {
    let image = Image.pattern(height: height, width: width)
    #expect(try Image(decoding: image.pngBytes(), name: "round trip") == image)
  }

  @Test("JPEG comes close, the closer the higher the quality")
  func jpegRoundTrip() throws {
    let image = try Image(contentsOf: Fixture.url("decoding/rgb.png"))
    func meanError(_ quality: Int) throws -> Double {
      let read = try Image(decoding: image.jpegBytes(quality: quality), name: "round trip")
      let total = zip(read.pixels, image.pixels).reduce(0) { $0 + abs(Int($1.0) - Int($1.1)) }
      return Double(total) / Double(image.pixels.count)
    }
    let (best, middle, worst) = (try meanError(100), try meanError(90), try meanError(20))
    #expect(best < 2 && best < middle && middle < worst)
  }

  @Test func tooLargeForJPEG() {
    let image = Image(height: 1, width: 70_000)
    #expect(throws: ImageError.self) { try image.jpegBytes() }
  }

  @Test func writingReplacesTheWholeFileOrNothing() async throws {
    try await withTemporaryFolder { folder in
      let file = folder.appending(path: "a.png")
      try Image(height: 2, width: 2, red: 1).writePNG(to: file)
      let image = Image.pattern(height: 5, width: 4)
      try image.writePNG(to: file)
      #expect(try Image(contentsOf: file) == image)
      try image.writeJPEG(to: folder.appending(path: "b.jpg"))
      let names = try FileManager.default.contentsOfDirectory(atPath: folder.path())
      #expect(names.sorted() == ["a.png", "b.jpg"])
      let nowhere = folder.appending(path: "none/a.png")
      let error = #expect(throws: ImageError.self) { try image.writePNG(to: nowhere) }
      #expect(error?.description.contains("none/a.png: cannot be written") == true)
    }
  }
}
