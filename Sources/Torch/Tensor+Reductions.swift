extension Tensor {
  /// The sum of all elements.
  public func sum() -> Tensor { Aten.sum(.tensor(self)) }
  /// The sum along dimensions.
  public func sum(_ dimensions: Int..., keepDimensions: Bool = false) -> Tensor {
    Aten.sumDims(.tensor(self), .ints(dimensions), .bool(keepDimensions))
  }
  /// The mean of all elements.
  public func mean() -> Tensor { Aten.mean(.tensor(self)) }
  /// The mean along dimensions.
  public func mean(_ dimensions: Int..., keepDimensions: Bool = false) -> Tensor {
    Aten.meanDims(.tensor(self), .ints(dimensions), .bool(keepDimensions))
  }
  /// The largest element.
  public func max() -> Tensor { Aten.maxAll(.tensor(self)) }
  /// The smallest element.
  public func min() -> Tensor { Aten.minAll(.tensor(self)) }
  /// The largest element along dimensions.
  public func max(_ dimensions: Int..., keepDimensions: Bool = false) -> Tensor {
    Aten.amax(.tensor(self), .ints(dimensions), .bool(keepDimensions))
  }
  /// The smallest element along dimensions.
  public func min(_ dimensions: Int..., keepDimensions: Bool = false) -> Tensor {
    Aten.amin(.tensor(self), .ints(dimensions), .bool(keepDimensions))
  }
  /// The index of the largest element along a dimension.
  public func argmax(_ dimension: Int) -> Tensor { Aten.argmax(.tensor(self), .int(dimension)) }
  /// The index of the smallest element along a dimension.
  public func argmin(_ dimension: Int) -> Tensor { Aten.argmin(.tensor(self), .int(dimension)) }
  /// The `count` largest elements along a dimension, largest first, and their indices.
  public func topK(_ count: Int, along dimension: Int = -1) -> (values: Tensor, indices: Tensor) {
    pair(Aten.topk.all(.tensor(self), .int(count), .int(dimension)))
  }
  /// The elements in order along a dimension, and where they were.
  public func sorted(along dimension: Int = -1, descending: Bool = false) -> (values: Tensor, indices: Tensor)
  {
    pair(Aten.sort.all(.tensor(self), .int(dimension), .bool(descending)))
  }
  /// Whether all elements are true.
  public func all() -> Tensor { Aten.all(.tensor(self)) }
  /// Whether any element is true.
  public func any() -> Tensor { Aten.any(.tensor(self)) }
  /// Running sums along a dimension.
  public func cumulativeSum(_ dimension: Int) -> Tensor { Aten.cumsum(.tensor(self), .int(dimension)) }
  /// The square root of the sum of squares of all elements.
  public func norm() -> Tensor { Aten.vectorNorm(.tensor(self)) }
  /// The standard deviation of all elements; `correction` 0 for a population, 1 for a sample.
  public func deviation(correction: Int = 0) -> Tensor {
    Aten.std(.tensor(self), .none, .int(correction))
  }
  /// log(sum(exp(x))) along a dimension, without overflow.
  public func logSumExp(_ dimension: Int, keepDimensions: Bool = false) -> Tensor {
    Aten.logsumexp(.tensor(self), .ints([dimension]), .bool(keepDimensions))
  }

  private func pair(_ results: [Tensor]) -> (values: Tensor, indices: Tensor) {
    guard results.count == 2 else { return (.poisoned, .poisoned) }
    return (results[0], results[1])
  }
}
