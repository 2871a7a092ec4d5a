import Data
public import Foundation

/// The folder that holds everything one run writes.
public struct RunFolder: Hashable, Sendable {
  /// The folder.
  public let url: URL

  /// The folder at that place, whatever it holds.
  public init(url: URL) { self.url = url }

  /// The recipe as it was resolved.
  public var recipe: URL { url.appending(path: "recipe.yaml") }
  /// A JSON object a line for every interval of steps and every epoch.
  public var metrics: URL { url.appending(path: "metrics.jsonl") }
  /// The newest checkpoint, from which the run can be resumed.
  public var last: URL { url.appending(path: "last.safetensors") }
  /// The weights of the best epoch by validation.
  public var best: URL { url.appending(path: "best.safetensors") }
  /// Pictures of the embedded validation set to try the model on.
  public var samples: URL { url.appending(path: "samples") }

  /// The folder's path.
  public var path: String { url.path(percentEncoded: false) }

  /// Makes a folder for a new run.
  ///
  /// - Throws: ``TrainingError`` if there is something in it already or it cannot be made.
  public static func fresh(_ url: URL) throws -> RunFolder {
    let folder = RunFolder(url: url)
    let content = try? FileManager.default.contentsOfDirectory(atPath: folder.path)
    guard content?.isEmpty ?? true else {
      throw TrainingError(
        folder.path, "expected a new or empty folder for the run, got one with content",
        remedy: "choose another, or add --resume to go on with the run in it")
    }
    return try folder.made()
  }

  /// Makes the folder with the lowest free number, `parent/run-1` or later.
  ///
  /// - Throws: ``TrainingError`` if it cannot be made.
  public static func numbered(in parent: URL) throws -> RunFolder {
    var number = 1
    while FileManager.default.fileExists(
      atPath: parent.appending(path: "run-\(number)").path(percentEncoded: false))
    {
      number += 1
    }
    return try RunFolder(url: parent.appending(path: "run-\(number)")).made()
  }

  /// The folder of a run that has a checkpoint.
  ///
  /// - Throws: ``TrainingError`` if there is none to resume from.
  public static func existing(_ url: URL) throws -> RunFolder {
    let folder = RunFolder(url: url)
    guard FileManager.default.fileExists(atPath: folder.last.path(percentEncoded: false)) else {
      throw TrainingError(
        folder.path, "holds no last.safetensors to resume from", remedy: "start the run without --resume")
    }
    return folder
  }

  private func made() throws -> RunFolder {
    do {
      try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    } catch {
      throw TrainingError(
        path, "cannot be made (\(reason(error)))", remedy: "check the path and the permissions")
    }
    return self
  }
}

extension RunFolder {
  /// Writes what a run starts with: its recipe and, of the embedded set, some validation pictures.
  ///
  /// - Parameters:
  ///   - recipe: the recipe as resolved.
  ///   - count: the number of pictures, named `<class>-<index>.png`.
  /// - Throws: ``TrainingError`` or `ImageError` if a file cannot be written.
  public func write(_ recipe: Recipe, samples count: Int) throws {
    try writeWhole(Foundation.Data(try recipe.yaml().utf8), to: self.recipe)
    guard count > 0 else { return }
    _ = try RunFolder(url: samples).made()
    let set = recipe.embeddedValidation
    for index in 0..<min(count, set.count) {
      let (image, label) = set.sample(at: index)
      try image.writePNG(to: samples.appending(path: "\(set.classNames[label])-\(index).png"))
    }
  }
}

/// The system's own words for an error of Foundation's, which names a number otherwise.
private func reason(_ error: any Error) -> String {
  let error = error as NSError
  let cause = error.userInfo[NSUnderlyingErrorKey] as? NSError ?? error
  return cause.domain == NSPOSIXErrorDomain
    ? String(cString: strerror(Int32(cause.code))) : error.localizedDescription
}
