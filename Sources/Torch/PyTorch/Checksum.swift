import CZlib

/// The CRC-32 that zip archives keep of their entries.
struct Checksum {
  private(set) var value: UInt32 = 0

  /// Takes in more bytes.
  mutating func update(_ bytes: UnsafeRawBufferPointer) {
    // Without an address zlib would start anew.
    guard let start = bytes.bindMemory(to: UInt8.self).baseAddress, !bytes.isEmpty else { return }
    value = UInt32(crc32_z(UInt(value), start, bytes.count))
  }

  /// The checksum of a range of a source, read piece by piece.
  static func of(_ range: Range<Int>, in source: any ByteSource) throws -> UInt32 {
    var checksum = Checksum()
    var position = range.lowerBound
    while position < range.upperBound {
      let piece = try source.bytes(position..<min(position + pieceSize, range.upperBound))
      piece.withUnsafeBytes { checksum.update($0) }
      position += piece.count
    }
    return checksum.value
  }

  private static let pieceSize = 1 << 20
}
