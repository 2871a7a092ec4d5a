import Foundation

/// Text in lines, from a file or standard input.
enum TextLines {
  /// The lines of a regular file, or of standard input for `-`, without their ends.
  ///
  /// - Throws: ``InputError`` if it cannot be read or is not UTF-8.
  static func read(_ name: String, separator: Character) throws -> [String] {
    let bytes = try name == "-" ? standardInput(limit: sizeLimit) : contents(name)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw InputError(
        name == "-" ? "standard input" : name, "is not text in UTF-8", remedy: "save it in that encoding")
    }
    // Swift takes a carriage return and a line feed for one character.
    let plain = separator == "\n" ? text.replacing("\r\n", with: "\n") : text
    return plain.split(separator: separator, omittingEmptySubsequences: false).map(String.init)
  }

  /// The bytes of standard input up to its end.
  ///
  /// - Throws: ``InputError`` if it cannot be read or is longer than `limit`.
  static func standardInput(limit: Int) throws -> [UInt8] {
    var bytes: [UInt8] = []
    do {
      while let more = try FileHandle.standardInput.read(upToCount: 1 << 20), !more.isEmpty {
        bytes += more
        guard bytes.count <= limit else {
          throw InputError(
            "standard input", "is longer than the \(limit >> 20) MiB allowed", remedy: "give less at a time")
        }
      }
    } catch let error as InputError {
      throw error
    } catch {
      throw InputError("standard input", "cannot be read", remedy: "check what it is connected to")
    }
    return bytes
  }

  private static let sizeLimit = 1 << 28

  private static func contents(_ path: String) throws -> [UInt8] {
    do {
      let url = location(path)
      let values = try url.resolvingSymlinksInPath().resourceValues(forKeys: [
        .isRegularFileKey, .fileSizeKey,
      ])
      guard values.isRegularFile == true else {
        throw InputError(path, "is not a regular file", remedy: "give the path of a text file")
      }
      guard values.fileSize ?? 0 <= sizeLimit else {
        throw InputError(path, "is longer than the \(sizeLimit >> 20) MiB allowed", remedy: "divide it")
      }
      return Array(try Foundation.Data(contentsOf: url))
    } catch let error as InputError {
      throw error
    } catch {
      throw InputError(path, "cannot be read", remedy: "check the path and its permissions")
    }
  }
}
