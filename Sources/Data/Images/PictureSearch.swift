import Foundation

/// The pictures that people name: by files, folders and patterns.
///
/// The order is that of the names given; inside folders and among what a pattern matches it is the byte order of the
/// paths' components, so that it is the same everywhere.
public struct PictureSearch: Sendable {
  /// The paths found.
  public private(set) var paths: [String] = []
  /// A sentence for each name that leads to no picture, and each folder or file name that cannot be read.
  public private(set) var problems: [String] = []

  /// A search that has found nothing yet.
  public init() {}

  /// Adds what `name` stands for.
  ///
  /// A folder stands for the files in it and below with the extensions ``ImageFolder/extensions``. A name that does not
  /// exist and has `*`, `?` or `[` in it is a pattern: `*` and `?` stand for any text and one character within a
  /// component, `[a-z]` for one of a set, `**` for any number of folders; names that start with a dot are matched by
  /// those that do. Every other name is a file, whatever its extension.
  public mutating func add(_ name: String) {
    if !exists(name), name.contains(where: { "*?[".contains($0) }) {
      addMatches(of: name)
    } else {
      addFileOrFolder(name)
    }
  }

  /// Adds a file or what is in a folder, without a meaning for `*`, `?` and `[`.
  public mutating func addFileOrFolder(_ name: String) {
    guard isFolder(name) else { return paths.append(name) }
    let before = (paths.count, problems.count)
    addPictures(in: name, enclosing: [])
    if before == (paths.count, problems.count) {
      problems.append(
        "\(name): expected pictures in the folder, got none; give one with JPEG or PNG files.")
    }
  }

  private mutating func addMatches(of pattern: String) {
    // `**/**` means no more than `**` and would find everything several times.
    let components = pattern.split(separator: "/").reduce(into: [String]()) { components, component in
      if component != "**" || components.last != "**" { components.append(String(component)) }
    }
    let before = (paths.count, problems.count)
    match(components[...], in: pattern.hasPrefix("/") ? "/" : "", enclosing: [])
    if before == (paths.count, problems.count) {
      problems.append(
        "\(pattern): no file matches the pattern; check it, and put it in quotes if the shell is not to expand it."
      )
    }
  }

  private mutating func match(_ pattern: ArraySlice<String>, in folder: String, enclosing: [FileIdentity]) {
    guard let component = pattern.first else { return }
    let rest = pattern.dropFirst()
    if component == "**" {
      guard !rest.isEmpty else { return addPictures(in: folder, enclosing: enclosing) }
      guard let inside = enter(folder, enclosing) else { return }
      match(rest, in: folder, enclosing: enclosing)
      for name in names(in: folder) where isFolder(joined(folder, name)) {
        match(pattern, in: joined(folder, name), enclosing: inside)
      }
    } else if component.contains(where: { "*?[".contains($0) }) {
      for name in names(in: folder, hidden: component.hasPrefix("."))
      where fnmatch(component, name, FNM_PERIOD) == 0 {
        proceed(to: joined(folder, name), rest)
      }
    } else if exists(joined(folder, component)) {
      proceed(to: joined(folder, component), rest)
    }
  }

  private mutating func proceed(to path: String, _ rest: ArraySlice<String>) {
    if !rest.isEmpty {
      if isFolder(path) { match(rest, in: path, enclosing: []) }
    } else if isFolder(path) {
      addPictures(in: path, enclosing: [])
    } else {
      paths.append(path)
    }
  }

  /// `enclosing` holds the folders above, so that a link to one of them ends the search instead of repeating it.
  private mutating func addPictures(in folder: String, enclosing: [FileIdentity]) {
    guard let inside = enter(folder, enclosing) else { return }
    for name in names(in: folder) {
      let path = joined(folder, name)
      if ImageFolder.extensions.contains((name as NSString).pathExtension.lowercased()) {
        paths.append(path)
      } else if isFolder(path) {
        addPictures(in: path, enclosing: inside)
      }
    }
  }

  private func enter(_ folder: String, _ enclosing: [FileIdentity]) -> [FileIdentity]? {
    guard let identity = FileIdentity(folder.isEmpty ? "." : folder), !enclosing.contains(identity) else {
      return nil
    }
    return enclosing + [identity]
  }

  /// The names in a folder in byte order.
  private mutating func names(in folder: String, hidden: Bool = false) -> [String] {
    let shown = folder.isEmpty ? "." : folder
    guard let stream = opendir(shown) else {
      problems.append(
        "\(shown): the folder cannot be listed (\(String(cString: strerror(errno)))); check its permissions.")
      return []
    }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let bytes = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
      if bytes == [0x2E] || bytes == [0x2E, 0x2E] || bytes.first == 0x2E && !hidden { continue }
      if let name = String(validating: bytes, as: UTF8.self) {
        names.append(name)
      } else {
        let repaired = String(decoding: bytes, as: UTF8.self)
        problems.append("\(joined(shown, repaired)): the name is not UTF-8; rename the file.")
      }
    }
    return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }
}

/// What tells one folder from all others, however it is reached.
private struct FileIdentity: Hashable {
  let device: UInt64
  let number: UInt64

  init?(_ path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    device = UInt64(truncatingIfNeeded: status.st_dev)
    number = UInt64(truncatingIfNeeded: status.st_ino)
  }
}

private func joined(_ folder: String, _ name: String) -> String {
  folder.isEmpty || folder.hasSuffix("/") ? folder + name : folder + "/" + name
}

private func exists(_ path: String) -> Bool {
  var status = stat()
  return lstat(path, &status) == 0
}
