public import Foundation
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A file that appears under its name only once it is complete and on disk.
///
/// The bytes go to a temporary name in the same folder, which is renamed at the end and removed on any error, so that
/// a crash or a full disk leaves the old file, or none, and never half of one.
public struct AtomicFile: ~Copyable {
  private let descriptor: Int32
  private let path: String

  /// Writes the file at `url`, replacing one that is there.
  ///
  /// - Parameters:
  ///   - url: the file.
  ///   - body: writes the content.
  /// - Throws: ``CheckpointError`` if the file cannot be written, or what `body` throws.
  public static func write(to url: URL, _ body: (borrowing AtomicFile) throws -> Void) throws {
    let path = url.path(percentEncoded: false)
    var status = stat()
    if stat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG {
      throw CheckpointError(
        path: path, problem: "is there already and not a regular file", remedy: "choose another file name")
    }
    let name = ".\(url.lastPathComponent.prefix(100)).\(UUID().uuidString).tmp"
    let temporary = url.deletingLastPathComponent().appending(path: name).path(percentEncoded: false)
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else {
      throw failure(path, "cannot be created", "check that its folder exists and that you may write there")
    }
    unfinished.withLock { _ = $0.insert(temporary) }
    defer { unfinished.withLock { _ = $0.remove(temporary) } }
    do {
      // Closed before the rename, since some file systems report a failed write only then.
      do {
        defer { close(descriptor) }
        let file = AtomicFile(descriptor: descriptor, path: path)
        try body(file)
        guard fsync(descriptor) == 0 else { throw failure(path, "cannot be written", spaceRemedy) }
      }
      guard rename(temporary, path) == 0 else {
        throw failure(path, "cannot be put in place", "check that you may replace it")
      }
    } catch {
      unlink(temporary)
      throw error
    }
    synchronizeFolder(of: url)
  }

  /// Removes the temporary files of what is being written now, for a process that is about to end.
  public static func removeUnfinished() {
    for path in unfinished.withLock({ $0 }) { unlink(path) }
  }

  /// Appends bytes.
  ///
  /// - Throws: ``CheckpointError`` if the disk does not take them all.
  public func append(_ bytes: UnsafeRawBufferPointer) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let written = systemWrite(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
      if written < 0 {
        if errno == EINTR { continue }
        throw failure(path, "cannot be written", spaceRemedy)
      }
      rest = rest.dropFirst(written)
    }
  }

  /// Appends bytes.
  ///
  /// - Throws: ``CheckpointError`` if the disk does not take them all.
  public func append(_ bytes: some Collection<UInt8>) throws {
    let array = ContiguousArray(bytes)
    try array.withUnsafeBytes { try append($0) }
  }
}

/// The temporary files of the writes that go on.
private let unfinished = Mutex<Set<String>>([])

private let spaceRemedy = "free some space or write elsewhere"

/// An error with the operating system's own words for its cause.
private func failure(_ path: String, _ problem: String, _ remedy: String) -> CheckpointError {
  CheckpointError(path: path, problem: "\(problem) (\(String(cString: strerror(errno))))", remedy: remedy)
}

/// Makes a rename last through a power failure; file systems that cannot are no reason to fail.
private func synchronizeFolder(of url: URL) {
  let folder = open(url.deletingLastPathComponent().path(percentEncoded: false), O_RDONLY | O_CLOEXEC)
  guard folder >= 0 else { return }
  fsync(folder)
  close(folder)
}

/// `write(2)`, whose name is that of a method here.
private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
  write(descriptor, bytes, count)
}
