/// The entries of a zip archive such as `torch.save` writes: in one file, not encrypted.
///
/// ZIP: PKWARE, APPNOTE 6.3, sections 4.3 to 4.5. The central directory decides; what local headers say must agree with
/// it, and no entry may overlap another or the directory.
struct ZipDirectory {
  /// One file of the archive.
  struct Entry: Equatable {
    /// The name, with `/` between folders.
    let name: String
    /// Where the content lies in the archive.
    let range: Range<Int>
    /// The checksum of the content.
    let checksum: UInt32
    /// Whether the content is compressed, which it never is in `torch.save`'s archives.
    let isCompressed: Bool
  }

  private(set) var entries: [String: Entry] = [:]
  /// The name of the entry that stands first in the directory.
  private(set) var firstName: String?

  /// What zip64 puts in place of a number that has a wider field elsewhere.
  static let saturated16 = Int(UInt16.max)
  static let saturated32 = Int(UInt32.max)

  init(_ source: any ByteSource) throws {
    let end = try End(source)
    var reader = ByteReader(source, end.directory)
    var headers: [Header] = []
    headers.reserveCapacity(end.count)
    for _ in 0..<end.count { headers.append(try Header(&reader)) }
    guard reader.remaining == 0 else {
      throw source.broken("its zip directory holds more than the \(end.count) entries it counts")
    }
    firstName = headers.first?.name
    for header in headers {
      let entry = try header.locate(source, before: end.directory.lowerBound)
      guard entries.updateValue(entry, forKey: entry.name) == nil else {
        throw source.broken("its zip entry '\(header.name.prefix(200))' is there twice")
      }
    }
    var free = 0
    for header in headers.sorted(by: { $0.offset < $1.offset }) {
      guard header.offset >= free, let entry = entries[header.name] else {
        throw source.broken("its zip entry '\(header.name.prefix(200))' overlaps another")
      }
      free = entry.range.upperBound
    }
  }
}

extension ZipDirectory {
  /// The records at the end of an archive, which say where the directory lies.
  private struct End {
    let count: Int
    let directory: Range<Int>

    private static let recordSize = 22
    private static let locatorSize = 20
    private static let wideRecordSize = 56

    init(_ source: any ByteSource) throws {
      let position = try Self.position(source)
      var reader = ByteReader(source, position + 4..<source.count)
      let disks = (try reader.size(UInt16.self), try reader.size(UInt16.self))
      var counts = (try reader.size(UInt16.self), try reader.size(UInt16.self))
      var (size, offset) = (try reader.size(UInt32.self), try reader.size(UInt32.self))
      var limit = position
      if let wide = try Self.wideRecord(source, before: position) {
        let fits =
          [(counts.0, wide.counts.0), (counts.1, wide.counts.1)].allSatisfy {
            $0.0 == saturated16 || $0.0 == $0.1
          }
          && [(size, wide.size), (offset, wide.offset)].allSatisfy { $0.0 == saturated32 || $0.0 == $0.1 }
        guard fits else { throw source.broken("its two zip end records contradict each other") }
        (counts, size, offset, limit) = (wide.counts, wide.size, wide.offset, wide.position)
      }
      guard disks == (0, 0), counts.0 == counts.1 else {
        throw source.broken("is one part of a zip archive in several parts")
      }
      guard offset <= limit, size == limit - offset, counts.0 <= size / Header.leastSize else {
        throw source.broken("its zip directory is not where the end of the file says it is")
      }
      count = counts.0
      directory = offset..<limit
    }

    /// The last place where an end record fits with its comment.
    private static func position(_ source: any ByteSource) throws -> Int {
      let start = max(0, source.count - recordSize - saturated16)
      let tail = try source.bytes(start..<source.count)
      var index = tail.count - recordSize
      while index >= 0 {
        if tail[index...].starts(with: [0x50, 0x4b, 0x05, 0x06]),
          Int(tail[index + 20]) | Int(tail[index + 21]) << 8 == tail.count - index - recordSize
        {
          return start + index
        }
        index -= 1
      }
      throw source.broken("is cut off: the end of its zip archive is missing")
    }

    private static func wideRecord(
      _ source: any ByteSource, before position: Int
    ) throws -> (position: Int, counts: (Int, Int), size: Int, offset: Int)? {
      guard position >= locatorSize + wideRecordSize else { return nil }
      var locator = ByteReader(source, position - locatorSize..<position)
      guard try locator.integer(UInt32.self) == 0x0706_4b50 else { return nil }
      let disk = try locator.size(UInt32.self)
      let place = try locator.size(UInt64.self)
      let disks = try locator.size(UInt32.self)
      guard disk == 0, disks <= 1 else {
        throw source.broken("is one part of a zip archive in several parts")
      }
      guard place <= position - locatorSize - wideRecordSize else {
        throw source.broken("its zip64 end record is not where the end of the file says it is")
      }
      var record = ByteReader(source, place..<position - locatorSize)
      guard try record.integer(UInt32.self) == 0x0606_4b50,
        try record.size(UInt64.self) == position - locatorSize - place - 12
      else { throw source.broken("its zip64 end record is not where the end of the file says it is") }
      try record.skip(4)
      guard try record.integer(UInt64.self) == 0 else {
        throw source.broken("is one part of a zip archive in several parts")
      }
      let counts = (try record.size(UInt64.self), try record.size(UInt64.self))
      return (place, counts, try record.size(UInt64.self), try record.size(UInt64.self))
    }
  }

  /// An entry's record in the directory.
  private struct Header {
    static let leastSize = 46

    let name: String
    let flags: Int
    let method: Int
    let checksum: UInt32
    /// The bytes in the archive.
    let size: Int
    let offset: Int

    init(_ reader: inout ByteReader) throws {
      let source = reader.source
      guard try reader.integer(UInt32.self) == 0x0201_4b50 else {
        throw source.broken("its zip directory is not valid before byte \(reader.position)")
      }
      try reader.skip(4)
      flags = try reader.size(UInt16.self)
      method = try reader.size(UInt16.self)
      try reader.skip(4)
      checksum = try reader.integer(UInt32.self)
      var packed = try reader.size(UInt32.self)
      var size = try reader.size(UInt32.self)
      let lengths = (
        try reader.size(UInt16.self), try reader.size(UInt16.self), try reader.size(UInt16.self)
      )
      try reader.skip(8)
      var offset = try reader.size(UInt32.self)
      guard let name = String(validating: try reader.bytes(lengths.0), as: UTF8.self),
        Self.isPlain(name)
      else { throw source.broken("it has a zip entry whose name could lead out of the archive") }
      var extra = ByteReader(source, reader.position..<reader.position + min(lengths.1, reader.remaining))
      try reader.skip(lengths.1)
      try reader.skip(lengths.2)
      while extra.remaining >= 4 {
        let tag = try extra.integer(UInt16.self)
        let length = try extra.size(UInt16.self)
        guard tag == 1 else {
          // A broken field of another kind is no matter of ours.
          try extra.skip(min(length, extra.remaining))
          continue
        }
        if size == ZipDirectory.saturated32 { size = try extra.size(UInt64.self) }
        if packed == ZipDirectory.saturated32 { packed = try extra.size(UInt64.self) }
        if offset == ZipDirectory.saturated32 { offset = try extra.size(UInt64.self) }
        break
      }
      let key = "its zip entry '\(name.prefix(200))'"
      guard flags & 0x2041 == 0 else {
        throw CheckpointError(
          path: source.path, problem: "\(key) is encrypted", remedy: "decrypt the archive first")
      }
      guard packed == size || method != 0 else {
        throw source.broken("\(key) has two sizes, \(packed) and \(size)")
      }
      (self.name, self.size, self.offset) = (name, packed, offset)
    }

    private static func isPlain(_ name: String) -> Bool {
      !name.isEmpty && !name.hasPrefix("/") && !name.unicodeScalars.contains { $0 == "\\" || $0.value == 0 }
        && !name.split(separator: "/").contains("..")
    }

    /// Follows the record to its local header and the content behind that.
    func locate(_ source: any ByteSource, before limit: Int) throws -> Entry {
      let key = "its zip entry '\(name.prefix(200))'"
      guard offset <= limit, limit - offset >= 30 else {
        throw source.broken("\(key) does not lie in the archive")
      }
      var reader = ByteReader(source, offset..<limit)
      let local = try reader.bytes(30)
      guard local.starts(with: [0x50, 0x4b, 0x03, 0x04]) else {
        throw source.broken("\(key) is not where its directory says it is")
      }
      func field(_ index: Int, _ width: Int) -> Int {
        (0..<width).reduce(0) { $0 | Int(local[index + $1]) << (8 * $1) }
      }
      // With this flag the sizes follow the content, and the directory alone is believed.
      let isDescribedLater = field(6, 2) & 8 != 0
      let agrees = [size, ZipDirectory.saturated32].contains(field(18, 4))
      guard field(8, 2) == method, isDescribedLater || agrees,
        try reader.bytes(field(26, 2)) == Array(name.utf8)
      else { throw source.broken("\(key) says otherwise in its local header") }
      try reader.skip(field(28, 2))
      guard reader.remaining >= size else { throw source.broken("\(key) does not lie in the archive") }
      return Entry(
        name: name, range: reader.position..<reader.position + size, checksum: checksum,
        isCompressed: method != 0)
    }
  }
}
