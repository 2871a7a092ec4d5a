/// Feeds one input to the reader of PyTorch's files and reads every tensor that it finds, as the product would.
///
/// libFuzzer calls this for each input. Errors other than the reader's own, traps and memory or time beyond the limits
/// end the run.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  do {
    try readAll(bytes)
    if bytes.starts(with: Array("PK".utf8)) { try readAll(withoutChecksums(bytes)) }
  } catch {
    fatalError("not the reader's own error: \(error)")
  }
  return 0
}

private func readAll(_ bytes: [UInt8]) throws {
  let source = MemoryBytes(path: "input", bytes: bytes)
  do {
    guard let container = try PyTorchFile.container(of: source) else {
      // A pickle alone.
      let reader = try PickleReader(ByteReader(source, 0..<bytes.count))
      _ = try WeightSelection(reader.graph, selecting: nil, in: source)
      return
    }
    let file = try PyTorchFile(source, container)
    let weights = try WeightSelection(file.graph, selecting: nil, in: source)
    for path in weights.candidates.prefix(8) {
      guard let weights = try? WeightSelection(file.graph, selecting: path, in: source) else { continue }
      for (_, tensor) in weights.tensors where tensor.obstacle == nil { try file.readAll(tensor) }
    }
  } catch is CheckpointError {}
}

/// The archive with 0 for each checksum, which stands for none: a changed byte would be all that is ever found else.
private func withoutChecksums(_ bytes: [UInt8]) -> [UInt8] {
  var bytes = bytes
  for index in bytes.indices.dropLast(20) where bytes[index...].starts(with: [0x50, 0x4b, 1, 2]) {
    bytes.replaceSubrange(index + 16..<index + 20, with: [0, 0, 0, 0])
  }
  return bytes
}

extension PyTorchFile {
  fileprivate func readAll(_ tensor: StoredTensor) throws {
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: tensor.byteCount, alignment: 16)
    defer { bytes.deallocate() }
    try read(tensor, into: bytes)
  }
}
