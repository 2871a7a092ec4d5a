import Analysis
public import Foundation
import Torch
import Training

extension RunReport {
  /// The report as one HTML file that needs no other: a well-formed document, readable without a network or scripts.
  public var html: String {
    let sections = [curves, errors, pictureSection, networkSection, recipeSection, engineSection]
      .compactMap(\.self)
    let page: Markup = """
      <!DOCTYPE html>
      <html lang="en">
      <head>
      <meta charset="utf-8"/>
      <meta name="viewport" content="width=device-width, initial-scale=1"/>
      <meta name="color-scheme" content="light dark"/>
      <meta name="generator" content="Ganglion"/>
      <title>\(title)</title>
      <style>
      \(Style.sheet)
      </style>
      </head>
      <body>
      \(header)
      <nav aria-label="Parts of the report">\(sections.map { "<a href=\"#\($0.id)\">\($0.title)</a>" as Markup })</nav>
      <main>
      \(sections.map(\.markup))
      </main>
      <footer>Made by <b>ganglion report</b> on \(date.formatted(.iso8601)) from the run’s folder.</footer>
      </body>
      </html>

      """
    return page.source
  }

  /// Writes the report; the file appears whole or not at all.
  ///
  /// - Throws: `CheckpointError` if the file cannot be written.
  public func write(to file: URL) throws {
    try AtomicFile.write(to: file) { try $0.append(html.utf8) }
  }

  private var title: String { [recipe?.model.name, name].compactMap(\.self).joined(separator: " – ") }
}

/// A part of the report.
struct Section {
  let id: String
  let title: String
  let content: Markup

  var markup: Markup {
    """
    <section id="\(id)" aria-labelledby="\(id)-heading">
    <h2 id="\(id)-heading">\(title)</h2>
    \(content)
    </section>

    """
  }
}
