import Foundation

/// Multinomial logistic regression on standardised features, trained by accelerated full-batch gradient descent.
struct LinearClassifier {
  private let featureCount: Int
  private let classCount: Int
  private let means: [Float]
  private let scales: [Float]
  /// `[features + 1, classes]`; the last row is the bias.
  private var weights: [Float]

  /// Fits rows of features to labels with an L2 penalty on the weights.
  init(
    fitting rows: [[Float]], labels: [Int], classCount: Int, penalty: Float = 1e-3, stepCount: Int = 400
  ) {
    let featureCount = rows[0].count
    let count = Float(rows.count)
    means = (0..<featureCount).map { feature in rows.reduce(0) { $0 + $1[feature] } / count }
    scales = zip(0..<featureCount, means).map { feature, mean in
      let variance = rows.reduce(0) { $0 + ($1[feature] - mean) * ($1[feature] - mean) } / count
      return variance > 1e-12 ? 1 / variance.squareRoot() : 0
    }
    (self.featureCount, self.classCount) = (featureCount, classCount)
    weights = [Float](repeating: 0, count: (featureCount + 1) * classCount)

    let inputs = rows.flatMap { standardized($0) }
    // The largest curvature of the loss is at most half the largest eigenvalue of the inputs' second moments.
    let step = 1 / (0.5 * largestMoment(of: inputs, width: featureCount + 1) + penalty)
    var (previous, ahead) = (weights, weights)
    for iteration in 0..<stepCount {
      let slope = gradient(at: ahead, inputs: inputs, labels: labels, penalty: penalty)
      weights = zip(ahead, slope).map { $0 - step * $1 }
      let momentum = Float(iteration) / Float(iteration + 3)
      ahead = zip(weights, previous).map { $0 + momentum * ($0 - $1) }
      previous = weights
    }
  }

  /// The share of rows whose label gets the highest score.
  func accuracy(on rows: [[Float]], labels: [Int]) -> Double {
    let hits = zip(rows, labels).count { row, label in
      let scores = scores(of: standardized(row), weights: weights)
      return scores.indices.allSatisfy { scores[$0] <= scores[label] }
    }
    return Double(hits) / Double(rows.count)
  }

  private func standardized(_ row: [Float]) -> [Float] {
    (0..<featureCount).map { (row[$0] - means[$0]) * scales[$0] } + [1]
  }

  private func scores(of input: some Collection<Float>, weights: [Float]) -> [Float] {
    var scores = [Float](repeating: 0, count: classCount)
    for (feature, value) in input.enumerated() {
      for label in 0..<classCount { scores[label] += value * weights[feature * classCount + label] }
    }
    return scores
  }

  private func gradient(at weights: [Float], inputs: [Float], labels: [Int], penalty: Float) -> [Float] {
    let width = featureCount + 1
    var gradient = [Float](repeating: 0, count: weights.count)
    for (row, truth) in labels.enumerated() {
      let input = inputs[(row * width)..<((row + 1) * width)]
      var shares = scores(of: input, weights: weights)
      let highest = shares.reduce(-.infinity, max)
      for label in 0..<classCount { shares[label] = exp(shares[label] - highest) }
      let total = shares.reduce(0, +)
      for label in 0..<classCount {
        shares[label] = (shares[label] / total - (label == truth ? 1 : 0)) / Float(labels.count)
      }
      for (feature, value) in input.enumerated() {
        for label in 0..<classCount { gradient[feature * classCount + label] += value * shares[label] }
      }
    }
    for index in 0..<(featureCount * classCount) { gradient[index] += penalty * weights[index] }
    return gradient
  }

  /// The largest eigenvalue of the mean of the inputs' outer products, by power iteration, and a little more.
  private func largestMoment(of inputs: [Float], width: Int) -> Float {
    var direction = [Float](repeating: 1, count: width)
    var moment: Float = 0
    for _ in 0..<30 {
      var image = [Float](repeating: 0, count: width)
      for start in stride(from: 0, to: inputs.count, by: width) {
        var product: Float = 0
        for feature in 0..<width { product += inputs[start + feature] * direction[feature] }
        for feature in 0..<width { image[feature] += product * inputs[start + feature] }
      }
      let length = image.reduce(0) { $0 + $1 * $1 }.squareRoot()
      let before = direction.reduce(0) { $0 + $1 * $1 }.squareRoot()
      moment = length / before / Float(inputs.count / width)
      direction = image.map { $0 / length }
    }
    return 1.1 * moment
  }
}
