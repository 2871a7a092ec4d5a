import Data
import Foundation

extension RunReport {
  /// Some pictures with what the model says of them.
  var pictureSection: Section? {
    guard let evaluation else { return nil }
    let right = cards(evaluation.scoring.examples(Self.exampleCount), evaluation)
    let wrong = cards(evaluation.scoring.mistakes(Self.mistakeCount), evaluation)
    guard !right.isEmpty || !wrong.isEmpty else { return nil }
    let mistakes: Markup =
      wrong.isEmpty
      ? "<p>There is no mistake to show.</p>"
      : "<h3>Wrong, and most certain of it</h3>\n<div class=\"cards\">\(wrong)</div>"
    let examples: Markup =
      right.isEmpty ? .none : "<h3>Right, one of a class</h3>\n<div class=\"cards\">\(right)</div>"
    return Section(
      id: "pictures", title: "What it sees",
      content: "<p>Bars are the probabilities that the model gives.</p>\n\(examples)\n\(mistakes)")
  }

  private func cards(_ verdicts: [Scoring.Verdict], _ evaluation: Evaluation) -> [Markup] {
    verdicts.compactMap { verdict in
      guard let picture = evaluation.pictures[verdict.index], let source = Self.embedded(picture) else {
        return nil
      }
      let names = evaluation.classNames
      let bars = zip(verdict.classes, verdict.probabilities).map { label, probability -> Markup in
        """
        <li class="\(label == verdict.label ? "true" : "other")"><span>\(names[label])</span>\
        <span class="value">\(Format.share(probability))</span><i style="width:\(100 * probability)%"></i></li>
        """
      }
      let name = names[verdict.label]
      return """
        <figure class="card">
        <img src="\(source)" alt="picture \(verdict.index) of the validation set, which shows \(name)" loading="lazy"/>
        <figcaption><span class="title">\(name)</span> <small>no. \(Format.count(verdict.index))</small></figcaption>
        <ol>\(bars)</ol>
        </figure>

        """
    }
  }

  /// The longest side of an embedded picture in pixels.
  private static let side = 192

  /// The picture as a data URL, made small; small ones lose nothing.
  private static func embedded(_ picture: Image) -> String? {
    let longest = max(picture.height, picture.width)
    let scale = min(1, Double(side) / Double(longest))
    let small = picture.resized(
      height: max(1, Int((Double(picture.height) * scale).rounded())),
      width: max(1, Int((Double(picture.width) * scale).rounded())), filter: .lanczos)
    let isSmall = longest <= 72
    guard let bytes = try? isSmall ? small.pngBytes() : small.jpegBytes(quality: 85) else { return nil }
    return "data:image/\(isSmall ? "png" : "jpeg");base64," + Foundation.Data(bytes).base64EncodedString()
  }
}
