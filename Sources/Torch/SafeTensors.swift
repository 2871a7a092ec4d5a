public import Foundation

/// A file of named tensors in the safetensors format, read tensor by tensor as they are asked for.
///
/// The format: eight bytes with the length of a header (little-endian), the header in JSON (for each name `dtype`,
/// `shape` and `data_offsets`; texts under `__metadata__`), then the elements, little-endian and row-major, without
/// gaps. Files of strangers are safe to open: everything the header says is checked against the file's size before
/// memory is asked for, and nothing in it is executed.
public struct SafeTensors: Sendable {
  /// One tensor of the file.
  public struct Entry: Sendable, Equatable {
    /// The tensor's name.
    public let name: String
    /// The type of the elements.
    public let dtype: DType
    /// The sizes.
    public let shape: [Int]
    /// Where the elements lie, in bytes from the end of the header.
    public let byteRange: Range<Int>
  }

  /// The tensors, in the header's order.
  public let entries: [Entry]
  /// The texts that the file carries about itself.
  public let metadata: [String: String]
  private let positions: [String: Int]
  private let source: any ByteSource
  private let dataStart: Int

  /// The largest header that is read, in bytes.
  public static let headerLimit = 100_000_000

  /// Opens a file and reads its header.
  ///
  /// - Throws: ``CheckpointError`` if the file cannot be opened or breaks a rule of the format.
  public static func read(from url: URL) throws -> SafeTensors { try SafeTensors(RandomAccessFile(url)) }

  init(_ source: any ByteSource) throws {
    guard source.count >= 8 else {
      throw source.broken(
        "a safetensors file starts with 8 bytes of header length, and this one has \(source.count)")
    }
    let declared = try source.bytes(0..<8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard declared <= UInt64(Self.headerLimit) else {
      throw source.broken("its header claims \(declared) bytes, more than the \(Self.headerLimit) allowed")
    }
    let length = Int(declared)
    guard length <= source.count - 8 else {
      throw source.broken("its header claims \(length) bytes, and only \(source.count - 8) follow")
    }
    let bytes = try source.bytes(8..<8 + length)
    let header: SafeTensorsHeader
    do {
      header = try SafeTensorsHeader(bytes, dataCount: source.count - 8 - length)
    } catch {
      throw source.broken(error.problem, key: error.key)
    }
    self.source = source
    dataStart = 8 + length
    entries = header.entries
    metadata = header.metadata
    positions = header.positions
  }

  /// The names of the tensors, in the header's order.
  public var names: [String] { entries.map(\.name) }

  /// What the header says of the tensor of that name, if there is one.
  public func entry(_ name: String) -> Entry? { positions[name].map { entries[$0] } }

  /// The entry of that name.
  func find(_ name: String) throws -> Entry {
    if let entry = entry(name) { return entry }
    let sample = names.prefix(3).map { "'\($0.prefix(100))'" }.joined(separator: ", ")
    throw CheckpointError(
      path: source.path, key: name, problem: "is not in the file",
      remedy: entries.isEmpty
        ? "the file holds no tensors" : "choose one of its \(entries.count), such as \(sample)")
  }

  /// Reads the bytes of a tensor.
  func read(_ entry: Entry, into buffer: UnsafeMutableRawBufferPointer) throws {
    try source.read(into: buffer, at: dataStart + entry.byteRange.lowerBound)
  }
}
