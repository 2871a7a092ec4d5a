import Foundation
import Torch

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Tells people something, on standard error; where nobody can be told, the work goes on.
func say(_ text: String, terminator: String = "\n") {
  _ = write(text + terminator, to: STDERR_FILENO)
}

/// Writes a line of results to standard output.
///
/// Ends the process if it cannot: without a word if the reader has left, as at the end of a pipe to `head`, and with a
/// sentence otherwise.
func output(_ text: String) {
  guard let failure = write(text + "\n", to: STDOUT_FILENO) else { return }
  if failure != EPIPE {
    say(
      "Error: standard output: cannot be written (\(String(cString: strerror(failure))));"
        + " free some space or write the results elsewhere")
  }
  endNow(failure == EPIPE ? 128 + SIGPIPE : EXIT_FAILURE)
}

/// Writes a result to standard output as JSON with keys in snake case.
func outputJSON(_ value: some Encodable) throws {
  output(String(decoding: try encodedJSON(value), as: UTF8.self))
}

/// A result as one line of JSON with keys in snake case.
func encodedJSON(_ value: some Encodable) throws -> Data {
  let encoder = JSONEncoder()
  encoder.keyEncodingStrategy = .convertToSnakeCase
  encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
  return try encoder.encode(value)
}

/// Ends the process without waiting for what goes on in it; files that are half written are removed.
func endNow(_ code: Int32) -> Never {
  AtomicFile.removeUnfinished()
  _exit(code)
}

/// The file or folder of a path as a person types it.
func location(_ path: String) -> URL { URL(filePath: path) }

/// A stranger's text, such as a file's name, on one line and without what a terminal would obey.
func printable(_ text: String) -> String { text.withoutControlCharacters }

/// The descriptors of the standard streams and the signals that writing may raise, as the tool expects them.
func prepareStandardStreams() {
  // A file opened later must not get the number of a stream that was closed, and the results with it.
  for (descriptor, mode) in [
    (STDIN_FILENO, O_WRONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_WRONLY),
  ] where fcntl(descriptor, F_GETFD) < 0 {
    _ = open("/dev/null", mode)
  }
  // A file that grows past the limit of the process is an error to report, not a reason to die.
  signal(SIGXFSZ, SIG_IGN)
}

/// Writes all of `text`; gives the system's error number if that fails.
private func write(_ text: String, to descriptor: Int32) -> Int32? {
  var rest = Array(text.utf8)[...]
  while !rest.isEmpty {
    let written = rest.withUnsafeBytes { systemWrite(descriptor, $0.baseAddress, $0.count) }
    if written < 0 {
      if errno == EINTR { continue }
      return errno
    }
    rest = rest.dropFirst(written)
  }
  return nil
}

/// `write(2)`, whose name is that of a function here.
private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
  write(descriptor, bytes, count)
}
