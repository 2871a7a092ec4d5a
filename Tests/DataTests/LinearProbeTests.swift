import Randomness
import Data
import Testing

/// That ``SyntheticShapes`` asks for more than colours and positions: what a linear model sees does not tell the class.
@Suite struct LinearProbeTests {
  private static let training = probes(count: 1600, split: .training)
  private static let validation = probes(count: 500, split: .validation)

  private struct Probes {
    var statistics: [[Float]] = []
    var thumbnails: [[Float]] = []
    var boxes: [[Float]] = []
    var labels: [Int] = []
  }

  private static func probes(count: Int, split: SyntheticShapes.Split) -> Probes {
    let shapes = SyntheticShapes(count: count, imageSize: 32, split: split)
    return (0..<count).reduce(into: Probes()) { probes, index in
      let sample = shapes.annotatedSample(at: index)
      probes.statistics.append(statistics(of: sample.image))
      probes.thumbnails.append(
        sample.image.resized(height: 8, width: 8, filter: .box).pixels.map { Float($0) / 255 })
      let box = sample.box
      probes.boxes.append([box.left, box.top, box.right, box.bottom].map { Float($0) })
      probes.labels.append(sample.shape.rawValue)
    }
  }

  /// The mean, the deviation and a histogram of 8 bins for each channel.
  private static func statistics(of image: Image) -> [Float] {
    (0..<3).flatMap { channel in
      let values = stride(from: channel, to: image.pixels.count, by: 3).map { Float(image.pixels[$0]) / 255 }
      let count = Float(values.count)
      let mean = values.reduce(0, +) / count
      let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / count
      var bins = [Float](repeating: 0, count: 8)
      for value in values { bins[min(Int(value * 8), 7)] += 1 / count }
      return [mean, variance.squareRoot()] + bins
    }
  }

  @Test func classifierLearnsWhatIsLinear() {
    var random = CounterRandom(seed: 8)
    var rows: [[Float]] = []
    var labels: [Int] = []
    for index in 0..<1000 {
      let label = index % 10
      var row = (0..<30).map { _ in Float(random.normal()) }
      row[label] += 4
      row[label + 10] -= 4
      rows.append(row)
      labels.append(label)
    }
    let classifier = LinearClassifier(
      fitting: Array(rows[..<600]), labels: Array(labels[..<600]), classCount: 10)
    #expect(classifier.accuracy(on: Array(rows[600...]), labels: Array(labels[600...])) > 0.95)
  }

  @Test func colorStatisticsDoNotTellTheShape() {
    let accuracy = accuracy { $0.statistics }
    #expect(accuracy < 0.25, "validation top-1 \(accuracy)")
  }

  @Test func thumbnailsDoNotTellTheShape() {
    let accuracy = accuracy { $0.thumbnails }
    #expect(accuracy < 0.25, "validation top-1 \(accuracy)")
  }

  @Test func positionsDoNotTellTheShape() {
    let accuracy = accuracy { $0.boxes }
    #expect(accuracy < 0.4, "validation top-1 \(accuracy)")
  }

  private func accuracy(of features: (Probes) -> [[Float]]) -> Double {
    let classifier = LinearClassifier(
      fitting: features(Self.training), labels: Self.training.labels, classCount: 10)
    return classifier.accuracy(on: features(Self.validation), labels: Self.validation.labels)
  }
}
