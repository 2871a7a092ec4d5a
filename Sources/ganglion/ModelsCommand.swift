import Analysis
import ArgumentParser
import Backbones
import Foundation

struct ModelsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "models",
    abstract: "List the models that Ganglion builds.",
    discussion: """
      Every model is built and counted, so the figures are those of this code; multiply-adds are for one image of \
      the listed size. The accuracy is the one its authors published.

      Examples:
        ganglion models
        ganglion models 'sparx_mamba_?'
        ganglion models '*sparx*' --json
      """)

  @Argument(help: "A name, in which * stands for any text and ? for one character.")
  var pattern = "*"

  @Flag(help: "Write the list to standard output as JSON.")
  var json = false

  func run() throws {
    let found = Architecture.allCases.filter { fnmatch(pattern, $0.rawValue, 0) == 0 }
    guard !found.isEmpty else {
      let known = Architecture.allCases.map(\.rawValue).joined(separator: ", ")
      throw ValidationError("no model is called '\(pattern)'; there are \(known).")
    }
    let rows = found.map { CatalogRow($0) }
    if json { try outputJSON(rows) } else { output(CatalogRow.table(rows)) }
  }
}
