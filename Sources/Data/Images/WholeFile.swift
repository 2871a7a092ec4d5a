import Foundation

/// The bytes of a regular file; pipes and devices, which may never end, are refused.
func readWholeFile(_ file: URL) throws(ImageError) -> [UInt8] {
  let path = file.path(percentEncoded: false)
  return try readWholeFile(path)
}

/// The bytes of a regular file of up to ``fileSizeLimit`` bytes.
func readWholeFile(_ path: String) throws(ImageError) -> [UInt8] {
  func failure() -> ImageError {
    .unreadable(path: path, reason: String(cString: strerror(errno)).lowercased())
  }
  // Without O_NONBLOCK, opening a pipe would wait for a writer.
  let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
  guard descriptor >= 0 else { throw failure() }
  defer { close(descriptor) }
  var status = stat()
  guard fstat(descriptor, &status) == 0 else { throw failure() }
  guard status.st_mode & S_IFMT == S_IFREG else {
    throw .unreadable(path: path, reason: "not a regular file")
  }
  guard status.st_size <= fileSizeLimit else {
    throw .unreadable(path: path, reason: "\(status.st_size) bytes are more than a picture has")
  }
  var reason: ImageError?
  let bytes = [UInt8](unsafeUninitializedCapacity: Int(status.st_size)) { buffer, count in
    while count < buffer.count {
      let got = read(descriptor, buffer.baseAddress?.advanced(by: count), buffer.count - count)
      if got < 0 && errno == EINTR { continue }
      if got < 0 { reason = failure() }
      if got <= 0 { break }
      count += got
    }
  }
  if let reason { throw reason }
  return bytes
}

/// Far more than any picture of ``Image/pixelLimit`` pixels is stored in.
private let fileSizeLimit = 1 << 30

/// Writes beside the file and renames, so that readers see the old file or the whole new one.
func writeWholeFile(_ bytes: [UInt8], to file: URL) throws(ImageError) {
  do {
    try Foundation.Data(bytes).write(to: file, options: .atomic)
  } catch {
    throw .unwritable(path: file.path(percentEncoded: false), reason: reason(of: error))
  }
}

/// The innermost system error in words, without the Cocoa wrapping that repeats the path.
func reason(of error: any Error) -> String {
  let error = error as NSError
  if let underlying = error.userInfo[NSUnderlyingErrorKey] as? any Error {
    return reason(of: underlying)
  }
  if error.domain == NSPOSIXErrorDomain {
    return String(cString: strerror(CInt(error.code))).lowercased()
  }
  return error.localizedDescription
}
