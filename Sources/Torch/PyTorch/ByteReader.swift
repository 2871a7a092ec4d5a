/// Reads a range of bytes from front to back.
struct ByteReader {
  let source: any ByteSource
  /// Where the next byte lies in the source.
  private(set) var position: Int
  /// Where the range ends.
  let end: Int
  private var window: [UInt8] = []
  private var windowStart: Int

  private static let windowSize = 1 << 16

  init(_ source: any ByteSource, _ range: Range<Int>) {
    self.source = source
    position = range.lowerBound
    windowStart = range.lowerBound
    end = range.upperBound
  }

  /// How many bytes are left.
  var remaining: Int { end - position }

  /// The next byte.
  mutating func byte() throws -> UInt8 {
    if position - windowStart >= window.count {
      guard remaining > 0 else { throw ended() }
      window = try source.bytes(position..<position + min(remaining, Self.windowSize))
      windowStart = position
    }
    defer { position += 1 }
    return window[position - windowStart]
  }

  /// The next bytes.
  mutating func bytes(_ count: Int) throws -> [UInt8] {
    guard count >= 0, count <= remaining else { throw ended() }
    defer { position += count }
    let start = position - windowStart
    if start + count <= window.count { return Array(window[start..<start + count]) }
    return try source.bytes(position..<position + count)
  }

  /// Passes over bytes.
  mutating func skip(_ count: Int) throws {
    guard count >= 0, count <= remaining else { throw ended() }
    position += count
  }

  /// The next integer, little-endian.
  mutating func integer<Value: FixedWidthInteger>(_ type: Value.Type = Value.self) throws -> Value {
    var value: Value = 0
    for shift in stride(from: 0, to: Value.bitWidth, by: 8) {
      value |= Value(truncatingIfNeeded: try byte()) << Value(shift)
    }
    return value
  }

  /// The next integer that counts bytes or elements, little-endian.
  mutating func size<Value: FixedWidthInteger>(_ type: Value.Type) throws -> Int {
    guard let size = Int(exactly: try integer(Value.self)), size >= 0 else {
      throw source.broken("holds a size that is not possible before byte \(position)")
    }
    return size
  }

  /// The bytes up to the next line feed, and over it.
  mutating func line() throws -> [UInt8] {
    var line: [UInt8] = []
    while true {
      let next = try byte()
      if next == UInt8(ascii: "\n") { return line }
      line.append(next)
    }
  }

  private func ended() -> CheckpointError { source.broken("ends too early, at byte \(end)") }
}
