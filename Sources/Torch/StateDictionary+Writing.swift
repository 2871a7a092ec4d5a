public import Foundation

extension StateDictionary {
  /// What a new file of weights is to be.
  public enum Target: Sendable {
    /// A safetensors file with texts about itself.
    case safeTensors(metadata: [String: String])
    /// A zip archive of an ordered dictionary that `torch.load` reads, with `weights_only=True` too.
    case pyTorch
  }

  /// Writes weights to a file, with one tensor in memory at a time; the same tensors give the same bytes.
  ///
  /// The file appears once it is complete (``AtomicFile``).
  ///
  /// - Parameters:
  ///   - entries: what will be written, in order; each key once.
  ///   - target: the format.
  ///   - url: the file; one that is there is replaced.
  ///   - tensor: makes the tensor of an entry, with its type and shape.
  /// - Throws: ``CheckpointError`` if a key is not allowed or the file cannot be written, or what `tensor` throws.
  public static func write(
    _ entries: [Entry], as target: Target, to url: URL, tensor: (Entry) throws -> Tensor
  ) throws {
    switch target {
    case .safeTensors(let metadata):
      try SafeTensors.write(entries, metadata: metadata, to: url, tensor: tensor)
    case .pyTorch: try writeArchive(entries, to: url, tensor)
    }
  }

  private static func writeArchive(
    _ entries: [Entry], to url: URL, _ tensor: (Entry) throws -> Tensor
  ) throws {
    var keys: Set<String> = []
    for entry in entries where !keys.insert(entry.key).inserted {
      throw CheckpointError(
        path: url.path(percentEncoded: false), key: entry.key,
        problem: "cannot be written under a key that is taken", remedy: "give every tensor a key of its own")
    }
    let pickle = PickleWriter(entries.map { ($0.key, $0.dtype, $0.shape) }).bytes
    try AtomicFile.write(to: url) { file in
      var archive = ZipWriter()
      try pickle.withUnsafeBytes { try archive.append("data.pkl", $0, to: file) }
      try Array("little".utf8).withUnsafeBytes { try archive.append("byteorder", $0, to: file) }
      for (place, entry) in entries.enumerated() {
        try entry.made(by: tensor).withUnsafeBytes { try archive.append("data/\(place)", $0, to: file) }
      }
      try Array("3\n".utf8).withUnsafeBytes { try archive.append("version", $0, to: file) }
      try file.append(archive.end())
    }
  }
}

extension ZipWriter {
  fileprivate mutating func append(
    _ name: String, _ content: UnsafeRawBufferPointer, to file: borrowing AtomicFile
  ) throws {
    var checksum = Checksum()
    checksum.update(content)
    try file.append(begin("archive/\(name)", size: content.count, checksum: checksum.value))
    try file.append(content)
  }
}

extension StateDictionary.Entry {
  /// The tensor of an entry, which must be as the entry says, since the file's header is written already.
  func made(by tensor: (StateDictionary.Entry) throws -> Tensor) throws -> Tensor {
    let tensor = try tensor(self)
    if isPoisoned {
      throw CheckpointError(
        path: key, problem: "is not written, because an operation before it failed",
        remedy: "mind that failure first")
    }
    require(
      tensor.dtype == dtype && tensor.shape == shape,
      "write: '\(key)' was to be \(dtype) \(shape), got \(tensor.summary)")
    return tensor
  }
}
