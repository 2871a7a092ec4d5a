public import Foundation

extension SafeTensors {
  /// Writes tensors to a file, in the order given; the same tensors and metadata give the same bytes.
  ///
  /// The file appears once it is complete (``AtomicFile``).
  ///
  /// - Parameters:
  ///   - tensors: names, each once, and tensors in any layout and on any device.
  ///   - metadata: texts about the file.
  ///   - url: the file; one that is there is replaced.
  /// - Throws: ``CheckpointError`` if a name is not allowed or the file cannot be written.
  public static func write(
    _ tensors: [(String, Tensor)], metadata: [String: String] = [:], to url: URL
  ) throws {
    if isPoisoned {
      throw CheckpointError(
        path: url.path(percentEncoded: false),
        problem: "is not written, because an operation before it failed",
        remedy: "mind that failure first")
    }
    var rest = tensors[...]
    let entries = tensors.map { StateDictionary.Entry(key: $0, dtype: $1.dtype, shape: $1.shape) }
    try write(entries, metadata: metadata, to: url) { _ in rest.removeFirst().1 }
  }

  /// Writes tensors that are made one at a time.
  static func write(
    _ entries: [StateDictionary.Entry], metadata: [String: String], to url: URL,
    tensor: (StateDictionary.Entry) throws -> Tensor
  ) throws {
    let header = try header(entries, metadata, url.path(percentEncoded: false))
    try AtomicFile.write(to: url) { file in
      try withUnsafeBytes(of: UInt64(header.count).littleEndian) { try file.append($0) }
      try file.append(header)
      for entry in entries {
        try entry.made(by: tensor).withUnsafeBytes { try file.append($0) }
      }
    }
  }

  private static func header(
    _ tensors: [StateDictionary.Entry], _ metadata: [String: String], _ path: String
  ) throws -> [UInt8] {
    var members: [String] = []
    if !metadata.isEmpty {
      let texts = metadata.sorted { $0.key < $1.key }.map { "\(quoted($0.key)):\(quoted($0.value))" }
      members.append("\(quoted(SafeTensorsHeader.metadataName)):{\(texts.joined(separator: ","))}")
    }
    var names: Set<String> = []
    var offset = 0
    for tensor in tensors {
      let name = tensor.key
      guard name != SafeTensorsHeader.metadataName, names.insert(name).inserted else {
        throw CheckpointError(
          path: path, key: name, problem: "cannot be written under a name that is taken",
          remedy: "give every tensor a name of its own, other than \(SafeTensorsHeader.metadataName)")
      }
      let end = offset + tensor.byteCount
      let shape = tensor.shape.map(String.init).joined(separator: ",")
      members.append(
        "\(quoted(name)):{\"dtype\":\"\(tensor.dtype.safeTensorsName)\",\"shape\":[\(shape)],"
          + "\"data_offsets\":[\(offset),\(end)]}")
      offset = end
    }
    var header = Array("{\(members.joined(separator: ","))}".utf8)
    // The format lets readers map the data at multiples of 8 bytes.
    header += repeatElement(UInt8(ascii: " "), count: (8 - header.count % 8) % 8)
    guard header.count <= headerLimit else {
      throw CheckpointError(
        path: path,
        problem: "would have a header of \(header.count) bytes, above the limit of \(headerLimit)",
        remedy: "split the tensors over several files or shorten the metadata")
    }
    return header
  }

  /// The text as JSON writes it.
  private static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\u{0}"..<"\u{20}":
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
