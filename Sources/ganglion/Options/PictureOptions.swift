import ArgumentParser
import Data
import Foundation

/// Which pictures are meant.
struct PictureOptions: ParsableArguments {
  @ArgumentParser.Argument(
    help: ArgumentHelp(
      "Pictures (JPEG or PNG), folders of pictures, patterns in quotes, or - for a picture on standard input.",
      valueName: "pictures"),
    completion: .file())
  var files: [String] = []

  @Option(
    help: ArgumentHelp(
      "A file that names pictures and folders, one a line; - for standard input.", valueName: "file"),
    completion: .file())
  var fromList: String?

  @Flag(name: .customLong("null"), help: "The names in --from-list end with a zero byte, not with the line.")
  var isSeparatedByNull = false

  func validate() throws {
    if files.isEmpty && fromList == nil {
      throw ValidationError("give pictures or folders, or --from-list with a file that names them.")
    }
    if isSeparatedByNull && fromList == nil { throw ValidationError("--null is for --from-list.") }
    if files.count(where: { $0 == "-" }) + (fromList == "-" ? 1 : 0) > 1 {
      throw ValidationError("standard input can be read once only: give - once.")
    }
    if files.contains("") { throw ValidationError("the name of a picture is empty.") }
  }

  /// The pictures in the order of their names, and a sentence for each name that leads to none.
  func find() throws -> (pictures: [PictureSource], problems: [String]) {
    var pictures: [PictureSource] = []
    var problems: [String] = []
    func add(_ name: String, isPattern: Bool) {
      var search = PictureSearch()
      if isPattern { search.add(name) } else { search.addFileOrFolder(name) }
      pictures += search.paths.map(PictureSource.init(path:))
      problems += search.problems
    }
    for name in files {
      if name == "-" {
        pictures.append(PictureSource(try TextLines.standardInput(limit: 1 << 29), name: "-"))
      } else {
        add(name, isPattern: true)
      }
    }
    for name in try listed() { add(name, isPattern: false) }
    return (pictures, problems)
  }

  private func listed() throws -> [String] {
    guard let fromList else { return [] }
    let names = try TextLines.read(fromList, separator: isSeparatedByNull ? "\0" : "\n")
      .filter { !$0.isEmpty }
    if names.isEmpty {
      throw InputError(
        fromList == "-" ? "standard input" : fromList, "names no pictures", remedy: "write one name a line")
    }
    return names
  }
}
