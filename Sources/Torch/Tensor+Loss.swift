extension Tensor {
  /// The mean cross-entropy of `[B, classes]` logits with labels.
  ///
  /// - Parameters:
  ///   - labels: `[B]` class indices (int64), or `[B, classes]` probabilities (soft targets).
  ///   - smoothing: the share of the target spread evenly over all classes.
  /// - Returns: a single element.
  public func crossEntropy(_ labels: Tensor, smoothing: Double = 0) -> Tensor {
    Aten.crossEntropy(
      .tensor(self), .tensor(labels), .none, .int(1), .int(-100), .double(smoothing))
  }

  /// The mean squared difference.
  public func meanSquaredError(_ target: Tensor) -> Tensor {
    Aten.mseLoss(.tensor(self), .tensor(target), .int(1))
  }

  /// The mean binary cross-entropy of logits with probabilities.
  public func binaryCrossEntropy(_ target: Tensor) -> Tensor {
    Aten.bce(.tensor(self), .tensor(target), .none, .none, .int(1))
  }

  /// Class indices as rows of zeros with a one.
  public func oneHot(_ classes: Int) -> Tensor { Aten.oneHot(.tensor(self), .int(classes)) }
}
