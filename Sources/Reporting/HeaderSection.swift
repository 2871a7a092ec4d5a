import Analysis
import Evaluation
import Training

extension RunReport {
  /// The result in one sentence and some figures.
  var header: Markup {
    """
    <header>
    <p class="kicker">Ganglion run report</p>
    <h1>\(recipe?.model.name ?? "a run") <span class="run">\(name)</span></h1>
    \(result)
    <dl class="figures">\(figures)</dl>
    \(notes.isEmpty ? .none : "<ul class=\"notes\">\(notes.map { "<li>\($0)</li>" as Markup })</ul>" as Markup)
    </header>
    """
  }

  private var result: Markup {
    if let best = history.best {
      let weights = recipe?.emaDecay == nil ? "" : " by the running average of its weights"
      return """
        <p class="result"><data id="best-top1" value="\("\(best.top1)")">\(Format.percent(best.top1))</data> \
        <span>of the validation pictures recognised\(weights), best after epoch \(best.epoch + 1)</span></p>
        """
    }
    if let score = evaluation?.scoring.score, score.count > 0 {
      return """
        <p class="result"><data id="best-top1" value="\("\(score.top1)")">\(Format.percent(score.top1))</data> \
        <span>of the validation pictures recognised, as measured for this report</span></p>
        """
    }
    return .none
  }

  private var figures: [Markup] {
    var cells: [Markup] = []
    func add(_ id: String, _ name: String, _ text: String, _ value: String, _ remark: String? = nil) {
      cells.append(
        """
        <div><dt>\(name)</dt><dd><data id="\(id)" value="\(value)">\(text)</data>\
        \(remark.map { "<small>\($0)</small>" as Markup })</dd></div>
        """)
    }
    if let best = history.best {
      add("best-top5", "top-5", Format.percent(best.top5), "\(best.top5)")
      add("best-loss", "validation loss", Format.loss(best.loss), "\(best.loss)")
    }
    if let last = history.epochs.last {
      add("epochs", "epochs", "\(last.epoch + 1)", "\(last.epoch + 1)", recipe.map { "of \($0.epochs)" })
    }
    if let seconds = history.seconds {
      add("time", "time", Format.duration(seconds), "\(seconds)", "training and validation")
    }
    if let rate = history.imagesPerSecond {
      add("rate", "training speed", Format.count(Int(rate.rounded())), "\(rate)", "images/s")
    }
    if let network {
      add("parameters", "parameters", Quantity.count(network.parameters), "\(network.parameters)")
      let size = "at \(network.inputSize[0])\u{2009}×\u{2009}\(network.inputSize[1])"
      add(
        "multiply-adds", "multiply-adds", Quantity.count(network.multiplyAdds), "\(network.multiplyAdds)",
        size)
    }
    return cells
  }
}
