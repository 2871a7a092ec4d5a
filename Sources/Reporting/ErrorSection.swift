import Evaluation

extension RunReport {
  /// The most classes that a confusion matrix is shown of, and whose accuracies are all shown at once.
  private static let (matrixLimit, listLimit) = (24, 60)

  /// Which classes are recognised, and what the others are taken for.
  var errors: Section? {
    guard let evaluation, evaluation.scoring.score.count > 0 else { return nil }
    let score = evaluation.scoring.score
    let right = score.confusion.indices.reduce(0) { $0 + score.confusion[$1][$1] }
    return Section(
      id: "errors", title: "What it confuses",
      content: """
        <p>Measured for this report with <b>\(evaluation.file)</b>: <data id="top1" value="\("\(score.top1)")">\
        \(Format.percent(score.top1))</data> top-1 (\(Format.count(right)) of <data id="count" value="\(score.count)">\
        \(Format.count(score.count))</data> pictures), <data id="top5" value="\("\(score.top5)")">\
        \(Format.percent(score.top5))</data> top-5, loss <data id="loss" value="\("\(score.loss)")">\
        \(Format.loss(score.loss))</data>.</p>
        <div class="columns">
        \(score.confusion.count <= Self.matrixLimit ? matrix(evaluation) : pairs(evaluation))
        \(accuracies(evaluation))
        </div>
        """)
  }

  private func matrix(_ evaluation: Evaluation) -> Markup {
    let names = evaluation.classNames
    let rows = zip(names, evaluation.scoring.score.confusion).enumerated().map { label, row -> Markup in
      let total = row.1.reduce(0, +)
      let cells = row.1.enumerated().map { predicted, count in
        cell(count, of: total, label: row.0, predicted: names[predicted], isRight: label == predicted)
      }
      return "<tr><th scope=\"row\">\(row.0)</th>\(cells)</tr>\n"
    }
    return """
      <figure class="wide">
      <figcaption><span class="title">Confusion matrix</span> Rows: what a picture shows; columns: what the model says. \
      The small figures are percentages of the row.</figcaption>
      <div class="scroll"><table class="confusion" id="confusion">
      <thead><tr><td></td>\(names.map { "<th scope=\"col\"><span>\($0)</span></th>" as Markup })</tr></thead>
      <tbody>
      \(rows)</tbody>
      </table></div>
      </figure>
      """
  }

  private func cell(_ count: Int, of total: Int, label: String, predicted: String, isRight: Bool) -> Markup {
    let share = total == 0 ? 0 : Double(count) / Double(total)
    let tooltip = "\(label) taken for \(predicted): \(count) of \(total), \(Format.share(share))"
    if count == 0 { return "<td class=\"zero\" title=\"\(tooltip)\">0</td>" }
    // Mistakes are rare: the root makes them visible beside the diagonal.
    let depth = isRight ? share : min(1, share.squareRoot())
    let kind = (isRight ? "right" : "wrong") + (depth > 0.85 ? " deep" : depth > 0.6 ? " mid" : "")
    return """
      <td class="\(kind)" style="--p:\(depth)" title="\(isRight ? "\(label): \(count) of \(total), \(Format.share(share))" : tooltip)">\
      \(count)<small>\(Format.share(share).dropLast(2).description)</small></td>
      """
  }

  private func pairs(_ evaluation: Evaluation) -> Markup {
    let names = evaluation.classNames
    let rows = evaluation.scoring.confusions(25).map { pair -> Markup in
      """
      <tr><th scope="row">\(names[pair.label])</th><td class="text">\(names[pair.predicted])</td><td>\(pair.count)</td>\
      <td>\(Format.share(Double(pair.count) / Double(pair.total)))</td></tr>

      """
    }
    return """
      <figure class="wide">
      <figcaption><span class="title">Most confused pairs</span> of \(Format.count(names.count)) classes, with their \
      number and their share of the true class.</figcaption>
      <div class="scroll"><table class="list" id="confusion">
      <thead><tr><th scope="col">shows</th><th scope="col">taken for</th><th scope="col">pictures</th>\
      <th scope="col">share</th></tr></thead>
      <tbody>
      \(rows)</tbody>
      </table></div>
      </figure>
      """
  }

  private func accuracies(_ evaluation: Evaluation) -> Markup {
    let score = evaluation.scoring.score
    let perClass = score.perClass
    let sorted = evaluation.classNames.indices.sorted { a, b in
      let (p, q) = (perClass[a] ?? -1, perClass[b] ?? -1)
      return p == q ? a < b : p > q
    }
    func bar(_ label: Int) -> Markup {
      let total = score.confusion[label].reduce(0, +)
      let accuracy = perClass[label]
      return """
        <tr><th scope="row">\(evaluation.classNames[label])</th><td class="bar"><i style="width:\(accuracy ?? 0)%"></i></td>\
        <td>\(accuracy.map { "\(Format.share($0 / 100))" as Markup } ?? "–")</td><td class="faint">\(total)</td></tr>

        """
    }
    func table(_ labels: some Sequence<Int>, _ id: String) -> Markup {
      "<table class=\"bars\" id=\"\(id)\">\n\(labels.map(bar))</table>"
    }
    let content: Markup =
      sorted.count <= Self.listLimit
      ? table(sorted, "classes")
      : """
      <h4>The best</h4>\(table(sorted.prefix(10), "best-classes"))
      <h4>The worst</h4>\(table(sorted.suffix(20), "worst-classes"))
      <details><summary>All \(Format.count(sorted.count)) classes</summary>\(table(sorted, "classes"))</details>
      """
    return """
      <figure class="narrow">
      <figcaption><span class="title">Accuracy of each class</span> with the number of its pictures.</figcaption>
      \(content)
      </figure>
      """
  }
}
