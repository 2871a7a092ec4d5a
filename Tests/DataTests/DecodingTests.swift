import Randomness
import Data
import Foundation
import Testing

@Suite struct DecodingTests {
  static let pictures = [
    "rgb-420.jpg", "rgb-422.jpg", "rgb-444.jpg", "rgb-progressive.jpg", "rgb-kept.jpg", "rgb-restarts.jpg",
    "gray.jpg", "cmyk.jpg", "rgb.png", "rgba.png", "gray.png", "gray-alpha.png", "gray-16.png", "gray-1.png",
    "gray-2.png", "gray-4.png", "gray-transparent.png", "rgb-16.png", "palette-8.png", "palette-4.png",
    "palette-1.png", "interlaced.png",
  ]

  @Test("Pixels equal Pillow's", arguments: pictures)
  func pixelsEqualPillows(name: String) throws {
    let image = try Image(contentsOf: Fixture.url("decoding/" + name))
    #expect(image.pixels == (try Fixture.bytes("decoding/" + name + ".rgb")))
  }

  @Test("A file cut anywhere is an error, or still shows the whole picture", arguments: pictures)
  func truncation(name: String) throws {
    let bytes = try Fixture.bytes("decoding/" + name)
    let whole = try Image(decoding: bytes, name: name)
    for length in 0..<bytes.count {
      do {
        let image = try Image(decoding: Array(bytes[..<length]), name: name)
        #expect(image == whole, "\(name) cut to \(length) of \(bytes.count) bytes")
        let lacksEndMarkerOnly = name.hasSuffix(".jpg") && length >= bytes.count - 2
        #expect(lacksEndMarkerOnly, "\(name) cut to \(length) of \(bytes.count) bytes was read")
      } catch {
        #expect(error.description.contains(name))
      }
    }
  }

  @Test("Random damage never crashes", arguments: pictures)
  func damage(name: String) throws {
    let bytes = try Fixture.bytes("decoding/" + name)
    var random = CounterRandom(seed: 5, UInt64(bytes.count))
    for _ in 0..<200 {
      var damaged = bytes
      for _ in 0..<4 {
        damaged[random.integer(in: 3..<bytes.count)] = UInt8(truncatingIfNeeded: random.next())
      }
      do {
        let image = try Image(decoding: damaged, name: name)
        #expect(image.pixels.count == image.height * image.width * 3)
      } catch {
        #expect(error.description.contains(name))
      }
    }
  }

  @Test func damagedPNGDataIsAnError() throws {
    var bytes = try Fixture.bytes("decoding/rgb.png")
    bytes[bytes.count / 2] ^= 0x10
    #expect(throws: ImageError.self) { try Image(decoding: bytes, name: "damaged") }
  }

  @Test func hugeHeadersAreRefusedBeforeTheirPixelsAreMade() throws {
    var jpeg = try Fixture.bytes("decoding/gray.jpg")
    let frame = try #require(
      jpeg.indices.dropLast(8).first { jpeg[$0] == 0xFF && jpeg[$0 + 1] == 0xC0 })
    jpeg.replaceSubrange((frame + 5)..<(frame + 9), with: [0xFF, 0x00, 0xFF, 0x00])
    #expect(throws: ImageError.tooLarge(path: "bomb", height: 65280, width: 65280)) {
      try Image(decoding: jpeg, name: "bomb")
    }
  }

  @Test func formatIsReadFromTheContentNotTheName() async throws {
    try await withTemporaryFolder { folder in
      let file = folder.appending(path: "photo.jpg")
      try FileManager.default.copyItem(at: Fixture.url("decoding/rgb.png"), to: file)
      #expect(try Image(contentsOf: file).height == 29)
    }
  }

  @Test func otherContentIsNamed() async throws {
    try await withTemporaryFolder { folder in
      let file = folder.appending(path: "notes.png")
      try Foundation.Data("hello".utf8).write(to: file)
      let path = file.path(percentEncoded: false)
      #expect(throws: ImageError.unknownFormat(path: path)) { try Image(contentsOf: file) }
      try Foundation.Data().write(to: file)
      #expect(throws: ImageError.unknownFormat(path: path)) { try Image(contentsOf: file) }
    }
  }

  @Test func missingFilesFoldersAndPipesAreErrors() async throws {
    try await withTemporaryFolder { folder in
      let missing = folder.appending(path: "none.png")
      let error = #expect(throws: ImageError.self) { try Image(contentsOf: missing) }
      #expect(error?.description.contains("none.png: cannot be read") == true)
      #expect(throws: ImageError.self) { try Image(contentsOf: folder) }
      let pipe = folder.appending(path: "pipe.png")
      #expect(mkfifo(pipe.path(percentEncoded: false), 0o600) == 0)
      #expect(throws: ImageError.self) { try Image(contentsOf: pipe) }
    }
  }
}
