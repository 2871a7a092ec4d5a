import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Bytes that are read at any position.
protocol ByteSource: Sendable {
  /// Names the bytes in errors.
  var path: String { get }
  /// How many there are.
  var count: Int { get }
  /// Fills `buffer` from `offset` on; the range lies within the bytes.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws
}

extension ByteSource {
  /// The bytes of a range.
  func bytes(_ range: Range<Int>) throws -> [UInt8] {
    try [UInt8](unsafeUninitializedCapacity: range.count) { buffer, initialized in
      try read(into: UnsafeMutableRawBufferPointer(buffer), at: range.lowerBound)
      initialized = range.count
    }
  }

  /// The error for content that breaks a rule of its format.
  func broken(_ problem: String, key: String? = nil) -> CheckpointError {
    CheckpointError(path: path, key: key, problem: problem, remedy: "download or export the file again")
  }
}

/// A regular file; it stays readable if its name is given to another file meanwhile.
final class RandomAccessFile: ByteSource {
  let path: String
  let count: Int
  private let descriptor: Int32

  init(_ url: URL) throws {
    path = url.path(percentEncoded: false)
    // Without O_NONBLOCK, opening a pipe would wait for a writer.
    descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      throw CheckpointError(
        path: path, problem: "cannot be opened (\(String(cString: strerror(errno))))",
        remedy: "check the path and the permissions")
    }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw CheckpointError(path: path, problem: "is not a regular file", remedy: "give the path of a file")
    }
    count = Int(status.st_size)
  }

  deinit { close(descriptor) }

  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws {
    var done = 0
    while done < buffer.count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
      let got = pread(descriptor, rest.baseAddress, rest.count, off_t(offset + done))
      if got < 0 && errno == EINTR { continue }
      guard got > 0 else {
        throw broken("cannot be read (\(got == 0 ? "it became shorter while being read" : systemError()))")
      }
      done += got
    }
  }

  private func systemError() -> String { String(cString: strerror(errno)) }
}

/// Bytes in memory.
struct MemoryBytes: ByteSource {
  let path: String
  let bytes: [UInt8]

  var count: Int { bytes.count }

  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws {
    bytes[offset..<offset + buffer.count].withUnsafeBytes { buffer.copyMemory(from: $0) }
  }
}
