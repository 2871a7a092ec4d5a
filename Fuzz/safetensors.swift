/// Feeds one input to the reader of safetensors and reads every tensor that it finds, as the product would.
///
/// libFuzzer calls this for each input. Errors other than the reader's own, traps and memory or time beyond the limits
/// end the run.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let source = MemoryBytes(path: "input", bytes: Array(UnsafeBufferPointer(start: start, count: count)))
  do {
    let file = try SafeTensors(source)
    for entry in file.entries {
      let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: entry.byteRange.count, alignment: 16)
      defer { bytes.deallocate() }
      try file.read(entry, into: bytes)
    }
  } catch is CheckpointError {
  } catch {
    fatalError("not the reader's own error: \(error)")
  }
  return 0
}
