import Synchronization

/// A file written by `torch.save`, read without running anything in it.
///
/// Either a zip archive of one pickle and one entry for each storage, as PyTorch writes since version 1.6, or the older
/// row of pickles with the storages behind it. Everything is checked against the size of the file before memory is asked
/// for; elements stay in the file until they are read.
final class PyTorchFile: Sendable {
  /// How the parts of the file are put together.
  enum Container {
    case zip
    case pickles
  }

  let container: Container
  /// What the file's pickle holds.
  let graph: PickleGraph
  private let source: any ByteSource
  private let places: [String: Place]
  private let checked = Mutex<Set<String>>([])

  /// Where a storage lies.
  private struct Place {
    let range: Range<Int>
    let checksum: UInt32?
  }

  var path: String { source.path }

  /// How a file starts that this type reads; `nil` if it is of another kind.
  static func container(of source: any ByteSource) throws -> Container? {
    let start = try source.bytes(0..<min(source.count, 24))
    if start.starts(with: Array("PK".utf8)), start.count > 3,
      [[3, 4], [5, 6]].contains(Array(start[2...3]))
    {
      return .zip
    }
    return magicStarts.contains { start.starts(with: $0) } ? .pickles : nil
  }

  /// How a pickle of the number 0x1950a86a20f9469cfc6c starts, in protocols from 2 on and before.
  private static let magicStarts: [[UInt8]] =
    (2...5).map { [0x80, $0] + magic } + [4, 5].map { [0x80, $0, 0x95, 13, 0, 0, 0, 0, 0, 0, 0] + magic }
    + [Array("L119547037146038801333356L".prefix(24).utf8)]

  private static let magic: [UInt8] = [0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19]

  init(_ source: any ByteSource, _ container: Container) throws {
    self.source = source
    self.container = container
    (graph, places) =
      switch container {
      case .zip: try Self.readArchive(source)
      case .pickles: try Self.readPickles(source)
      }
  }

  /// Writes the elements of a tensor of ``graph`` in row-major order.
  ///
  /// - Parameters:
  ///   - tensor: the tensor's description.
  ///   - target: takes as many bytes as the tensor has.
  /// - Throws: ``CheckpointError`` if the file cannot be read or the elements are damaged.
  func read(_ tensor: StoredTensor, into target: UnsafeMutableRawBufferPointer) throws {
    guard !target.isEmpty, let place = places[tensor.storage] else { return }
    let scale = tensor.element.byteCount
    let span = tensor.span
    let start = place.range.lowerBound + span.lowerBound * scale
    let range = start..<start + span.count * scale
    guard tensor.isContiguous else {
      try check(tensor.storage, place)
      let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: range.count, alignment: 16)
      defer { bytes.deallocate() }
      try source.read(into: bytes, at: range.lowerBound)
      return tensor.gather(UnsafeRawBufferPointer(bytes), into: target)
    }
    if range != place.range { try check(tensor.storage, place) }
    try source.read(into: target, at: range.lowerBound)
    if range == place.range {
      var checksum = Checksum()
      checksum.update(UnsafeRawBufferPointer(target))
      try compare(tensor.storage, place, checksum.value)
    }
  }

  /// Compares a storage's checksum with the file's, once, however many tensors share it.
  private func check(_ key: String, _ place: Place) throws {
    if place.checksum == nil || checked.withLock({ $0.contains(key) }) { return }
    try compare(key, place, try Checksum.of(place.range, in: source))
    checked.withLock { _ = $0.insert(key) }
  }

  private func compare(_ key: String, _ place: Place, _ checksum: UInt32) throws {
    guard place.checksum == nil || place.checksum == checksum else {
      throw source.broken("its storage '\(key.prefix(100))' is damaged: the checksum differs")
    }
  }
}

extension PyTorchFile {
  private static func readArchive(_ source: any ByteSource) throws -> (PickleGraph, [String: Place]) {
    let directory = try ZipDirectory(source)
    let folder = directory.firstName?.prefix { $0 != "/" } ?? ""
    func entry(_ name: String) throws -> ZipDirectory.Entry? {
      guard let entry = directory.entries["\(folder)/\(name)"], entry.isCompressed else {
        return directory.entries["\(folder)/\(name)"]
      }
      throw CheckpointError(
        path: source.path,
        problem: "its zip entry '\(name.prefix(200))' is compressed, which torch.save never does",
        remedy: "pack the archive again without compression")
    }
    func place(_ entry: ZipDirectory.Entry) -> Place {
      // PyTorch writes 0 where it was told not to compute checksums.
      Place(range: entry.range, checksum: entry.checksum == 0 ? nil : entry.checksum)
    }
    if directory.entries["\(folder)/constants.pkl"] != nil {
      throw CheckpointError(
        path: source.path, problem: "is a TorchScript program, not a dictionary of weights",
        remedy: "load it in PyTorch and save the module's state_dict()")
    }
    guard let pickle = try entry("data.pkl") else {
      throw CheckpointError(
        path: source.path, problem: "is a zip archive without the data.pkl that torch.save writes",
        remedy: "give a file written by torch.save")
    }
    if let order = try entry("byteorder") {
      let text = String(decoding: try source.bytes(order.range.prefix(16)), as: UTF8.self)
      guard text == "little" else { throw bigEndian(source) }
    }
    if let checksum = place(pickle).checksum, try Checksum.of(pickle.range, in: source) != checksum {
      throw source.broken("its data.pkl is damaged: the checksum differs")
    }
    let reader = try PickleReader(ByteReader(source, pickle.range))
    guard reader.end == pickle.range.upperBound else {
      throw source.broken("its data.pkl goes on after the end of the pickle")
    }
    var places: [String: Place] = [:]
    for elements in reader.storages.values {
      guard let entry = try entry("data/\(elements.key)") else {
        throw source.broken("lacks the storage '\(elements.key.prefix(100))' that its tensors need")
      }
      guard entry.range.count == elements.byteCount else {
        throw source.broken(
          "its storage '\(elements.key.prefix(100))' has \(entry.range.count) bytes, expected \(elements.byteCount)"
        )
      }
      places[elements.key] = place(entry)
    }
    return (reader.graph, places)
  }

  /// The older form: pickles of a magic number, a version, the writer's system, the object and the keys of all
  /// storages; then each storage, its count of elements in front.
  private static func readPickles(_ source: any ByteSource) throws -> (PickleGraph, [String: Place]) {
    var position = 0
    func next() throws -> PickleReader {
      let reader = try PickleReader(ByteReader(source, position..<source.count))
      position = reader.end
      return reader
    }
    let (_, version, system) = (try next(), try next().graph, try next().graph)
    guard case .integer(1001) = version[version.root] else {
      throw source.broken("has an unknown version of the form that PyTorch wrote before 1.6")
    }
    let isLittle = system.members(system.root)?.first { $0.key == "little_endian" }?.value
    if let isLittle, case .bool(false) = system[isLittle] { throw bigEndian(source) }
    let (object, keys) = (try next(), try next().graph)
    guard case .list = keys[keys.root], let order = keys.elements(keys.root) else {
      throw source.broken("lacks the list of its storages")
    }
    var places: [String: Place] = [:]
    for reference in order {
      guard case .text(let key) = keys[reference], let elements = object.storages[key], places[key] == nil
      else {
        throw source.broken("lists a storage that none of its tensors has")
      }
      var reader = ByteReader(source, position..<source.count)
      guard try reader.size(Int64.self) == elements.count, reader.remaining >= elements.byteCount else {
        throw source.broken(
          "its storage '\(key.prefix(100))' is cut off or has not the \(elements.count) elements expected")
      }
      places[key] = Place(
        range: reader.position..<reader.position + elements.byteCount, checksum: nil)
      position = reader.position + elements.byteCount
    }
    guard position == source.count else {
      throw source.broken("goes on for \(source.count - position) bytes after its last storage")
    }
    if let missing = object.storages.keys.filter({ places[$0] == nil }).min() {
      throw source.broken("lacks the storage '\(missing.prefix(100))' that its tensors need")
    }
    return (object.graph, places)
  }

  private static func bigEndian(_ source: any ByteSource) -> CheckpointError {
    CheckpointError(
      path: source.path, problem: "was written on a big-endian machine",
      remedy: "save it again on a little-endian one")
  }
}
