import Foundation
import TestSupport
import Testing

@testable import Training

@Suite struct EventFileTests {
  // Test vectors of RFC 3720, appendix B.4.
  private static let checks: [([UInt8], UInt32)] = [
    (Array(repeating: 0, count: 32), 0x8a91_36aa), (Array(repeating: 0xff, count: 32), 0x62a8_ab43),
    (Array(0..<32), 0x46dd_794e), (Array((0..<32).reversed()), 0x113f_db5c),
    (Array("123456789".utf8), 0xe306_9283),
  ]

  @Test(arguments: checks) func theCheckOfKnownBytes(bytes: [UInt8], expected: UInt32) {
    #expect(crc32C(bytes) == expected)
  }

  @Test func anEventByHand() {
    // 09 wall time 1.0 | 10 step 300 | 2a summary of 9 bytes { 0a value of 7 { 0a tag "a" | 15 float 0.5 } }
    let expected: [UInt8] =
      [0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x10, 0xac, 0x02]
      + [0x2a, 10, 0x0a, 8, 0x0a, 1, 0x61, 0x15, 0, 0, 0, 0x3f]
    #expect(EventFile.event([("a", 0.5)], step: 300, wallTime: 1) == expected)
  }

  @Test func aRecordIsFramedByLengthAndChecks() {
    let record = [UInt8](EventFile.record([1, 2, 3]))
    #expect(Array(record[..<8]) == [3, 0, 0, 0, 0, 0, 0, 0])
    #expect(Array(record[12..<15]) == [1, 2, 3])
    #expect(record.count == 19)
    func stored(_ offset: Int) -> UInt32 {
      (0..<4).reduce(0) { $0 | UInt32(record[offset + $1]) << (8 * $1) }
    }
    // Unmasking: subtract the offset and rotate back.
    func unmasked(_ value: UInt32) -> UInt32 {
      let rotated = value &- 0xa282_ead8
      return rotated << 15 | rotated >> 17
    }
    #expect(unmasked(stored(8)) == crc32C(Array(record[..<8])))
    #expect(unmasked(stored(15)) == crc32C([1, 2, 3]))
  }

  @Test func theFileOpensWithItsVersion() throws {
    try inScratchFolder { folder in
      let file = try EventFile(RunFolder(url: folder), interval: 1)
      try file.didStep(
        StepRecord(
          step: 1, steps: 1, epoch: 0, epochs: 1, loss: 2, learningRate: 0.1, gradientNorm: 3, imageCount: 4))
      let name = try #require(files(in: folder).first)
      #expect(name.hasPrefix("events.out.tfevents."))
      let text = String(decoding: try Data(contentsOf: folder.appending(path: name)), as: UTF8.self)
      #expect(text.contains("brain.Event:2"))
      #expect(text.contains("training/gradient_norm"))
    }
  }
}
