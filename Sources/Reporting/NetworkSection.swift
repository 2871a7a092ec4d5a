import Analysis
import Backbones
import Evaluation
import Scan
import Training

extension RunReport {
  /// What the model is made of.
  var networkSection: Section? {
    guard let network else { return nil }
    let longest = wiring.map(\.sources.count).max() ?? 0
    let pictures = zip(wiring, network.maps).map { wiring, map in
      WiringPicture(
        stage: map.name, caption: "\(map.channels) × \(map.size[0]) × \(map.size[1])", wiring: wiring,
        longest: longest
      ).markup
    }
    let diagram: Markup =
      pictures.isEmpty
      ? "<p>The layers form a plain chain.</p>"
      : """
      <figure>
      <figcaption><span class="title">Wiring</span> An arc leads from a layer to a ganglion layer that looks at its map. \
      <span class="legend"><span class="sign"><i>●</i> ordinary layer</span> <span class="sign accent"><i>◆</i> ganglion layer\
      </span> <span class="sign"><i>○</i> map that enters the stage</span></span></figcaption>
      <div class="scroll">
      \(pictures)</div>
      </figure>
      """
    return Section(
      id: "network", title: "The network",
      content: """
        \(diagram)
        <div class="columns even">
        \(shares("Multiply-adds of one image", "multiply-adds-by-region", network.multiplyAddsByRegion, network.multiplyAdds))
        \(shares("Parameters, by the beginning of their keys", "parameters-by-key", network.parametersByKey, network.parameters))
        </div>
        """)
  }

  private func shares(_ title: String, _ id: String, _ parts: [ModelSummary.Part], _ total: Int) -> Markup {
    let largest = max(1, parts.map(\.count).max() ?? 1)
    let rows = parts.map { part -> Markup in
      """
      <tr><th scope="row">\(part.name)</th><td class="bar"><i style="width:\(100 * Double(part.count) / Double(largest))%">\
      </i></td><td>\(Quantity.count(part.count))</td>\
      <td class="faint">\(Format.share(Double(part.count) / Double(max(1, total))))</td></tr>

      """
    }
    return """
      <figure>
      <figcaption><span class="title">\(title)</span> \(Quantity.count(total)) in all.</figcaption>
      <table class="bars" id="\(id)">
      \(rows)</table>
      </figure>
      """
  }

  /// The recipe as it was resolved.
  var recipeSection: Section? {
    guard let recipe, let text = try? recipe.yaml() else { return nil }
    return Section(
      id: "recipe", title: "The recipe",
      content: """
        <p>As it was resolved, with every field; <b>ganglion train --recipe</b> takes it as it is.</p>
        <pre tabindex="0"><code>\(text)</code></pre>
        """)
  }

  /// What computed.
  var engineSection: Section? {
    var columns: [(title: String, engine: EngineDescription)] = history.engines.map { line in
      (line.step == 0 ? "training" : "training from step \(Format.count(line.step))", line.engine)
    }
    if let evaluation { columns.append(("this report", evaluation.engine)) }
    guard !columns.isEmpty else { return nil }
    let facts: [(String, (EngineDescription) -> String)] = [
      ("engine", { "LibTorch \($0.libtorch)" }), ("device", { $0.gpu == nil ? $0.device : $0.place }),
      ("processor", \.machine.processor), ("cores", { "\($0.machine.cores)" }),
      ("threads", { "\($0.threads)" }), ("memory", { Quantity.bytes($0.machine.memoryBytes) }),
      ("instruction sets", { $0.machine.instructionSets.joined(separator: " ") }),
      ("LibTorch’s kernels", \.capability), ("scan kernel", \.scan), ("system", \.machine.system),
      ("date", \.date),
    ]
    let rows = facts.map { name, value -> Markup in
      """
      <tr><th scope="row">\(name)</th>\(columns.map { "<td class=\"text\">\(value($0.engine))</td>" as Markup })</tr>

      """
    }
    var speed: Markup = .none
    if let scoring = evaluation?.scoring, scoring.seconds > 0 {
      speed = """
        <p>The evaluation for this report took \(Format.duration(scoring.seconds)), \
        \(Format.count(Int((Double(scoring.score.count) / scoring.seconds).rounded()))) images/s.</p>
        """
    }
    return Section(
      id: "engine", title: "Machine and kernels",
      content: """
        <div class="scroll"><table class="list facts">
        <thead><tr><td></td>\(columns.map { "<th scope=\"col\">\($0.title)</th>" as Markup })</tr></thead>
        <tbody>
        \(rows)</tbody>
        </table></div>
        \(speed)
        """)
  }
}
