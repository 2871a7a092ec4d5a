import Foundation
import Testing

#if canImport(FoundationXML)
  import FoundationXML
#endif

/// A report's page, parsed as XML.
struct Page {
  let source: String
  let document: XMLDocument

  init(_ source: String) throws {
    self.source = source
    document = try XMLDocument(xmlString: source, options: [.nodeLoadExternalEntitiesNever])
  }

  /// All elements, in order.
  var elements: [XMLElement] {
    func below(_ element: XMLElement) -> [XMLElement] {
      [element] + (element.children ?? []).compactMap { $0 as? XMLElement }.flatMap(below)
    }
    return document.rootElement().map(below) ?? []
  }

  func values(of attribute: String) -> [String] {
    elements.compactMap { $0.attribute(forName: attribute)?.stringValue }
  }

  /// What readers see of the elements whose class begins like that.
  func texts(ofClass prefix: String) -> [String] {
    elements.filter { ($0.attribute(forName: "class")?.stringValue ?? "").hasPrefix(prefix) }
      .map { $0.stringValue ?? "" }
  }

  /// The element of that identifier.
  func element(_ id: String) throws -> XMLElement {
    try #require(elements.first { $0.attribute(forName: "id")?.stringValue == id }, "no element \(id)")
  }

  /// The exact number that stands behind the shown one.
  func number(_ id: String) throws -> Double {
    let element = try element(id)
    #expect(element.name == "data")
    return try #require(Double(element.attribute(forName: "value")?.stringValue ?? ""))
  }

  /// What a reader sees of an element.
  func text(_ id: String) throws -> String { try element(id).stringValue ?? "" }

  /// The rows of a table as cells of text.
  func rows(_ id: String) throws -> [[String]] {
    func rows(_ element: XMLElement) -> [XMLElement] {
      element.name == "tr"
        ? [element] : (element.children ?? []).compactMap { $0 as? XMLElement }.flatMap(rows)
    }
    return try rows(element(id)).map {
      ($0.children ?? []).compactMap { $0 as? XMLElement }.map { $0.stringValue ?? "" }
    }
  }

  /// Every identifier is used once, and every reference leads to one; nothing is fetched or run.
  func checkIntegrity() {
    let ids = values(of: "id")
    #expect(
      Set(ids).count == ids.count, "\(Dictionary(grouping: ids, by: \.self).filter { $1.count > 1 }.keys)")
    for reference in values(of: "href") {
      #expect(reference.hasPrefix("#") && ids.contains(String(reference.dropFirst())), "\(reference)")
    }
    for id in values(of: "aria-labelledby").flatMap({ $0.split(separator: " ") }) {
      #expect(ids.contains(String(id)), "\(id)")
    }
    #expect(!source.contains("://"))
    for source in values(of: "src") { #expect(source.hasPrefix("data:image/")) }
    #expect(!elements.contains { ["script", "iframe", "link", "object", "embed"].contains($0.name ?? "") })
    #expect(!values(of: "style").contains { $0.contains("url") })
    for element in elements where element.name == "img" {
      let alternative = element.attribute(forName: "alt")?.stringValue ?? ""
      #expect(!alternative.isEmpty)
    }
    for name in ["onload", "onerror", "onclick", "onmouseover"] { #expect(values(of: name).isEmpty) }
    for name in ["cx", "cy", "x", "y", "x1", "d", "viewBox"] {
      for value in values(of: name) {
        #expect(!value.contains("nan") && !value.contains("inf"), "\(name) \(value)")
      }
    }
  }
}
