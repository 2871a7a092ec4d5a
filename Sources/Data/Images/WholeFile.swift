import Foundation

/// The bytes of a regular file; pipes and devices, which may never end, are refused.
func readWholeFile(_ file: URL) throws(ImageError) -> [UInt8] {
  let path = file.path(percentEncoded: false)
  do {
    let values = try file.resolvingSymlinksInPath().resourceValues(forKeys: [.isRegularFileKey])
    guard values.isRegularFile == true else {
      throw ImageError.unreadable(path: path, reason: "not a regular file")
    }
    return Array(try Foundation.Data(contentsOf: file))
  } catch let error as ImageError {
    throw error
  } catch {
    throw .unreadable(path: path, reason: reason(of: error))
  }
}

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
