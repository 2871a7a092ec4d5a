import Crypto
import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A file on its way, locked for this process, which survives the end of the process to be continued.
///
/// Values share the descriptor: whoever opened the file closes it, once.
struct PartialFile: Sendable {
  let url: URL
  private let descriptor: Int32
  private var validatorFile: URL { url.appendingPathExtension(WeightsCache.validatorEnding) }

  /// Opens or makes the file and locks it.
  ///
  /// - Returns: the file; `nil` if another process holds it.
  /// - Throws: ``DownloadError`` if it cannot be made.
  static func open(_ url: URL) throws -> PartialFile? {
    let path = url.path(percentEncoded: false)
    let descriptor = systemOpen(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else {
      throw DownloadError(
        url, system: "cannot be made", remedy: "check the folder, or choose another by GANGLION_CACHE")
    }
    // File systems without locks serve one process at a time, as they would without the question.
    let isHeld = flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK
    var (opened, named) = (stat(), stat())
    // Whoever held the lock before may have put the file in its place, or removed it.
    let isCurrent =
      !isHeld && fstat(descriptor, &opened) == 0 && stat(path, &named) == 0
      && opened.st_ino == named.st_ino && opened.st_dev == named.st_dev
    guard isCurrent else {
      systemClose(descriptor)
      return nil
    }
    return PartialFile(url: url, descriptor: descriptor)
  }

  private init(url: URL, descriptor: Int32) {
    self.url = url
    self.descriptor = descriptor
  }

  /// Gives the file up, for this process or another to continue.
  func close() { systemClose(descriptor) }

  /// Its bytes so far.
  var count: Int {
    var status = stat()
    return fstat(descriptor, &status) == 0 ? Int(status.st_size) : 0
  }

  /// What a server said that tells this version of the file from others: an entity tag, or a date.
  var validator: String? {
    guard let text = try? String(contentsOf: validatorFile, encoding: .utf8), !text.isEmpty else {
      return nil
    }
    return text
  }

  /// Empties the file, for a version that `validator` tells from others.
  ///
  /// - Throws: ``DownloadError`` if the disk refuses.
  func restart(validator: String?) throws {
    try? FileManager.default.removeItem(at: validatorFile)
    guard ftruncate(descriptor, 0) == 0 else { throw writeError }
    if let validator { try? Data(validator.utf8).write(to: validatorFile, options: .atomic) }
  }

  /// Appends bytes.
  ///
  /// - Throws: ``DownloadError`` if the disk does not take them all.
  func append(_ data: Data) throws {
    guard lseek(descriptor, 0, SEEK_END) >= 0 else { throw writeError }
    try data.withUnsafeBytes { bytes in
      var rest = bytes[...]
      while !rest.isEmpty {
        let written = systemWrite(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
        if written < 0 {
          if errno == EINTR { continue }
          throw writeError
        }
        rest = rest.dropFirst(written)
      }
    }
  }

  /// The SHA-256 digest of the whole file in hexadecimal digits.
  ///
  /// - Throws: ``DownloadError`` if it cannot be read.
  func sha256() throws -> String {
    var digest = SHA256()
    do {
      let handle = try FileHandle(forReadingFrom: url)
      defer { try? handle.close() }
      while let bytes = try handle.read(upToCount: 1 << 20), !bytes.isEmpty { digest.update(data: bytes) }
    } catch {
      throw DownloadError(
        url.path(percentEncoded: false), "cannot be read again", remedy: "check the disk and try once more")
    }
    return digest.finalize().map { String(format: "%02x", $0) }.joined()
  }

  /// Puts the file in its place, once all of it is on disk.
  ///
  /// - Throws: ``DownloadError`` if it cannot be put there.
  func move(to place: URL) throws {
    guard fsync(descriptor) == 0 else { throw writeError }
    guard rename(url.path(percentEncoded: false), place.path(percentEncoded: false)) == 0 else {
      throw DownloadError(place, system: "cannot be put in place", remedy: "check what is there")
    }
    try? FileManager.default.removeItem(at: validatorFile)
  }

  /// Removes the file.
  func remove() {
    try? FileManager.default.removeItem(at: url)
    try? FileManager.default.removeItem(at: validatorFile)
  }

  private var writeError: DownloadError {
    DownloadError(
      url, system: "cannot be written",
      remedy: "free some space, or choose another folder by GANGLION_CACHE; what has arrived is kept")
  }
}

/// `open(2)`, whose name is that of a method here.
private func systemOpen(_ path: String, _ flags: Int32, _ mode: mode_t) -> Int32 { open(path, flags, mode) }

/// `close(2)`, whose name is that of a method here.
private func systemClose(_ descriptor: Int32) { close(descriptor) }

/// `write(2)`.
private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
  write(descriptor, bytes, count)
}
