/// Makes the records of a zip archive of stored entries, one after the other.
///
/// Entries come with size and checksum known, so that nothing is ever gone back to. Dates are left at their least, for
/// the same content to give the same bytes.
struct ZipWriter {
  /// Where the next record begins.
  private(set) var position = 0
  private var directory: [UInt8] = []
  private var count = 0

  /// Contents start at multiples of this, as PyTorch wants it for mapping files into memory.
  static let alignment = 64

  private static let sizeLimit = ZipDirectory.saturated32
  private static let utf8Names = 0x800

  /// The bytes in front of an entry's content.
  ///
  /// - Parameters:
  ///   - name: the entry's name.
  ///   - size: the bytes of the content, which follow at once.
  ///   - checksum: that of the content.
  /// - Returns: the header, which ends where the content starts.
  mutating func begin(_ name: String, size: Int, checksum: UInt32) -> [UInt8] {
    let start = position
    let isLarge = size >= Self.sizeLimit
    let isFar = start >= Self.sizeLimit
    let shown = isLarge ? ZipDirectory.saturated32 : size
    let version = isLarge || isFar ? 45 : 20
    var wide: [UInt8] = []
    if isLarge { wide += Self.field(1, Self.bytes(size, 8) + Self.bytes(size, 8)) }
    let length = 30 + name.utf8.count + wide.count + 4
    let padding = (Self.alignment - (start + length) % Self.alignment) % Self.alignment
    let extra = wide + Self.field(0x4246, Array(repeating: UInt8(ascii: "Z"), count: padding))
    let common =
      Self.bytes(Self.utf8Names, 2) + Self.bytes(0, 2) + Self.bytes(0, 2) + Self.bytes(0x21, 2)
      + Self.bytes(Int(checksum), 4) + Self.bytes(shown, 4) + Self.bytes(shown, 4)
      + Self.bytes(name.utf8.count, 2)
    let header =
      Self.bytes(0x0403_4b50, 4) + Self.bytes(version, 2) + common + Self.bytes(extra.count, 2)
      + Array(name.utf8)
      + extra
    var far: [UInt8] = []
    if isLarge { far += Self.bytes(size, 8) + Self.bytes(size, 8) }
    if isFar { far += Self.bytes(start, 8) }
    if !far.isEmpty { far = Self.field(1, far) }
    directory +=
      Self.bytes(0x0201_4b50, 4) + Self.bytes(version, 2) + Self.bytes(version, 2) + common
      + Self.bytes(far.count, 2) + Self.bytes(0, 10) + Self.bytes(isFar ? ZipDirectory.saturated32 : start, 4)
      + Array(name.utf8) + far
    count += 1
    position += header.count + size
    return header
  }

  /// The bytes behind the last content: the directory and the end records.
  func end() -> [UInt8] {
    let size = directory.count
    let wideRecord =
      Self.bytes(0x0606_4b50, 4) + Self.bytes(44, 8) + Self.bytes(45, 2) + Self.bytes(45, 2)
      + Self.bytes(0, 8)
      + Self.bytes(count, 8) + Self.bytes(count, 8) + Self.bytes(size, 8) + Self.bytes(position, 8)
    let locator =
      Self.bytes(0x0706_4b50, 4) + Self.bytes(0, 4) + Self.bytes(position + size, 8) + Self.bytes(1, 4)
    let shownCount = Self.bytes(min(count, ZipDirectory.saturated16), 2)
    return directory + wideRecord + locator + Self.bytes(0x0605_4b50, 4) + Self.bytes(0, 4) + shownCount
      + shownCount + Self.bytes(min(size, ZipDirectory.saturated32), 4)
      + Self.bytes(min(position, ZipDirectory.saturated32), 4) + Self.bytes(0, 2)
  }

  private static func field(_ tag: Int, _ content: [UInt8]) -> [UInt8] {
    bytes(tag, 2) + bytes(content.count, 2) + content
  }

  /// A number, least byte first.
  private static func bytes(_ value: Int, _ width: Int) -> [UInt8] {
    (0..<width).map { $0 < 8 ? UInt8(truncatingIfNeeded: value >> (8 * $0)) : 0 }
  }
}
