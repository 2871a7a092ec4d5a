public import Analysis
public import ArgumentParser
import Backbones
import Foundation

struct ModelsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "models",
    abstract: "List the models that Ganglion builds.",
    discussion: """
      Every model is built, without its numbers, and counted, so the figures are those of this code; multiply-adds are \
      for one image of the listed size, the size in memory is that of float32. The accuracy is the one its authors \
      published.

      Examples:
        ganglion models
        ganglion models 'sparx_mamba_?' --sort top1
        ganglion models '*_t' '*_micro' --json
      """)

  @ArgumentParser.Argument(
    help: ArgumentHelp(
      "Names, in which * stands for any text, ? for one character and [ab] for one of a set; all by default.",
      valueName: "patterns"),
    completion: .list(Architecture.names))
  var patterns: [String] = []

  @Option(
    help: ArgumentHelp(
      "The order of the list: name, parameters, multiply-adds or top1; that of the papers by default.",
      valueName: "column"))
  var sort: CatalogRow.Order?

  @Flag(help: "Write the list to standard output as JSON.")
  var json = false

  func run() throws {
    func matches(_ pattern: String, _ architecture: Architecture) -> Bool {
      fnmatch(pattern, architecture.rawValue, 0) == 0
    }
    for pattern in patterns where !Architecture.allCases.contains(where: { matches(pattern, $0) }) {
      throw ValidationError(
        "no model is called '\(printable(pattern))'; there are \(Architecture.names.joined(separator: ", "))."
      )
    }
    let found = Architecture.allCases.filter { architecture in
      patterns.isEmpty || patterns.contains { matches($0, architecture) }
    }
    var rows = found.map { CatalogRow($0) }
    if let sort { rows = CatalogRow.sorted(rows, by: sort) }
    if json { try outputJSON(rows) } else { output(CatalogRow.table(rows)) }
  }
}

extension CatalogRow.Order: ExpressibleByArgument {}
