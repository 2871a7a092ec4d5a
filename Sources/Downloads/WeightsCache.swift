public import Backbones
public import Foundation

/// The folder of the weights that were fetched.
///
/// Each file is called by its address, with `--` for each `/`, so no two are called the same. What is still on its way
/// ends in `.part`; beside it, a file in `.validator` holds what tells whether the rest still belongs to it.
public struct WeightsCache: Hashable, Sendable {
  /// A file of the cache.
  public struct File: Hashable, Sendable {
    /// The file.
    public let url: URL
    /// Its length in bytes.
    public let byteCount: Int
    /// Whether all of it is there.
    public let isComplete: Bool
  }

  /// The folder, which need not exist.
  public let folder: URL

  static let partEnding = "part"
  static let validatorEnding = "validator"

  /// The files in a folder.
  public init(folder: URL) {
    self.folder = folder
  }

  /// The user's own cache: `weights` in `GANGLION_CACHE`, else in `ganglion` in `XDG_CACHE_HOME`, else in
  /// `~/.cache/ganglion`.
  ///
  /// - Parameter environment: the variables; a path of the system's own that is not absolute counts as none.
  public init(environment: [String: String] = ProcessInfo.processInfo.environment) {
    func folder(_ name: String, where isValid: (String) -> Bool = { $0.hasPrefix("/") }) -> URL? {
      environment[name].flatMap { isValid($0) ? URL(filePath: $0, directoryHint: .isDirectory) : nil }
    }
    let home = folder("HOME") ?? FileManager.default.homeDirectoryForCurrentUser
    let root =
      folder("GANGLION_CACHE") { !$0.isEmpty }
      ?? (folder("XDG_CACHE_HOME") ?? home.appending(path: ".cache")).appending(path: "ganglion")
    self.init(folder: root.appending(path: "weights", directoryHint: .isDirectory))
  }

  /// Where weights are once they are fetched.
  public func location(of weights: PublishedWeights) -> URL {
    let address = weights.url.replacing(#/^[a-z]+:\/\//#, with: "").prefix { $0 != "?" }
    return folder.appending(path: address.replacing("/", with: "--"), directoryHint: .notDirectory)
  }

  /// The file of weights, if it was fetched.
  public func file(of weights: PublishedWeights) -> File? {
    Self.file(location(of: weights))
  }

  /// Whatever there is of a file of weights, complete or on its way.
  public func files(of weights: PublishedWeights) -> [File] {
    let file = location(of: weights)
    return [file, file.appendingPathExtension(Self.partEnding)].compactMap(Self.file)
  }

  /// All files, by name; none if there is no folder yet.
  ///
  /// - Throws: ``DownloadError`` if the folder cannot be read.
  public func files() throws -> [File] {
    do {
      let names = try FileManager.default.contentsOfDirectory(atPath: folder.path(percentEncoded: false))
      return names.sorted().filter { !$0.hasSuffix("." + Self.validatorEnding) }.compactMap {
        Self.file(folder.appending(path: $0, directoryHint: .notDirectory))
      }
    } catch CocoaError.fileReadNoSuchFile {
      return []
    } catch {
      throw DownloadError(
        folder.path(percentEncoded: false), "the folder cannot be read", remedy: "check its permissions")
    }
  }

  /// Removes a file, and what is known of it if it is on its way.
  ///
  /// - Throws: ``DownloadError`` if it cannot be removed.
  public func remove(_ file: File) throws {
    do {
      try FileManager.default.removeItem(at: file.url)
    } catch {
      throw DownloadError(
        file.url.path(percentEncoded: false), "cannot be removed", remedy: "check the folder's permissions")
    }
    try? FileManager.default.removeItem(at: file.url.appendingPathExtension(Self.validatorEnding))
  }

  private static func file(_ url: URL) -> File? {
    let values = try? url.resolvingSymlinksInPath().resourceValues(forKeys: [
      .isRegularFileKey, .fileSizeKey,
    ])
    guard let values, values.isRegularFile == true, let count = values.fileSize else { return nil }
    return File(url: url, byteCount: count, isComplete: url.pathExtension != partEnding)
  }
}
