import Foundation
import Training

extension RunReport {
  /// How the run went.
  var curves: Section? {
    guard !history.steps.isEmpty || !history.epochs.isEmpty else { return nil }
    let charts = [lossChart, accuracyChart, rateChart, gradientChart].map(\.markup)
    return Section(
      id: "curves", title: "The course of training",
      content: "<div class=\"charts\">\n\(charts)</div>")
  }

  /// Epochs where the log tells how long one is, else steps.
  private var stepsPerEpoch: Double? {
    history.epochs.last.map { Double($0.step) / Double($0.epoch + 1) }
  }

  private func x(_ step: Int) -> Double { stepsPerEpoch.map { Double(step) / $0 } ?? Double(step) }
  private var xName: String { stepsPerEpoch == nil ? "step" : "epoch" }

  private var lossChart: LineChart {
    let training = history.steps.map { (x: x($0.step), y: $0.loss) }
    return LineChart(
      id: "loss", title: "Loss", xName: xName, format: Format.loss,
      series: [
        .init(name: "training", style: .raw, color: 1, points: training),
        .init(
          name: "smoothed", style: .line, color: 1,
          points: smoothed(training, window: max(3, training.count / 25))),
        .init(
          name: "validation", style: .dots, color: 2,
          points: history.epochs.map { (x($0.step), $0.loss) }),
      ])
  }

  private var accuracyChart: LineChart {
    let best = history.best.map { (x: x($0.step), y: $0.top1) }
    let weights = recipe?.emaDecay == nil ? "" : " (averaged weights)"
    return LineChart(
      id: "accuracy", title: "Validation accuracy in percent\(weights)", xName: xName, ceiling: 100,
      format: Format.percent,
      series: [
        .init(
          name: "top-1", style: .dots, color: 2, points: history.epochs.map { (x($0.step), $0.top1) }),
        .init(
          name: "top-5", style: .dots, color: 3, points: history.epochs.map { (x($0.step), $0.top5) }),
      ], marked: best)
  }

  private var rateChart: LineChart {
    LineChart(
      id: "rate", title: "Learning rate", xName: xName, format: { String(format: "%.2e", $0) },
      series: [
        .init(
          name: "learning rate", style: .line, color: 3,
          points: history.steps.map { (x($0.step), $0.learningRate) })
      ])
  }

  private var gradientChart: LineChart {
    let norms = history.steps.compactMap { step in
      step.gradientNorm.map { (x: x(step.step), y: $0) }
    }
    return LineChart(
      id: "gradient", title: "Gradient norm before clipping", xName: xName,
      format: { String(format: "%.2f", $0) },
      series: [
        .init(name: "logged steps", style: .raw, color: 1, points: norms),
        .init(
          name: "smoothed", style: .line, color: 1,
          points: smoothed(norms, window: max(3, norms.count / 25))),
      ])
  }
}
