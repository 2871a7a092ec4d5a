import Data
import Foundation
import Training

/// A folder of copies of pictures with their classes drawn under them.
///
/// The folder is new or empty, so nothing that is there can be lost. Copies are called as their pictures; where two are
/// called the same, the later one gets a number.
struct AnnotatedCopies {
  private let folder: URL
  private var taken: Set<String> = []

  /// Makes the folder.
  ///
  /// - Throws: ``InputError`` if it has content or cannot be made.
  init(in path: String) throws {
    folder = URL(filePath: path, directoryHint: .isDirectory)
    do {
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      guard try FileManager.default.contentsOfDirectory(atPath: path).isEmpty else {
        throw InputError(
          path, "expected a new or empty folder, got one with content", remedy: "choose another")
      }
    } catch let error as InputError {
      throw error
    } catch {
      throw InputError(path, "the folder cannot be made", remedy: "check the path and the permissions")
    }
  }

  /// Writes the copies of a batch, several at a time.
  ///
  /// - Throws: `ImageError` if one cannot be written.
  mutating func write(_ results: [PictureResult]) async throws {
    var copies: [Copy] = []
    for result in results {
      guard case .success(let classes) = result.classes else { continue }
      let format = try result.picture.format()
      copies.append(
        Copy(
          picture: result.picture, classes: classes, format: format, file: file(for: result.picture, format)))
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for copy in copies {
        group.addTask(executorPreference: globalConcurrentExecutor) { try copy.write() }
      }
      try await group.waitForAll()
    }
  }

  /// The name of a copy: that of the picture with the ending of its format, and a number if that is taken.
  private mutating func file(for picture: PictureSource, _ format: ImageFormat) -> URL {
    let source = URL(filePath: picture.name == "-" ? "standard-input" : picture.name)
    let stem = source.deletingPathExtension().lastPathComponent
    let endings = format == .png ? ["png"] : ["jpg", "jpeg"]
    let given = source.pathExtension
    let ending = endings.contains(given.lowercased()) ? given : endings[0]
    var name = "\(stem).\(ending)"
    var number = 2
    // Some file systems take capitals and small letters for the same.
    while !taken.insert(name.lowercased()).inserted {
      name = "\(stem)-\(number).\(ending)"
      number += 1
    }
    return folder.appending(path: name, directoryHint: .notDirectory)
  }

  private struct Copy: Sendable {
    let picture: PictureSource
    let classes: [ClassProbability]
    let format: ImageFormat
    let file: URL

    func write() throws {
      let copy = try picture.image().captioned(classes.map { CaptionLine($0.name, $0.probability) })
      switch format {
      case .png: try copy.writePNG(to: file)
      case .jpeg: try copy.writeJPEG(to: file, quality: 92)
      }
    }
  }
}
