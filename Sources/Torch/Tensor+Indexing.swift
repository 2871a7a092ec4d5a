/// What a subscript of a tensor may hold for one dimension: an index, a range, `...` for all of it, or ``NewAxis``.
public protocol TensorIndex {
  /// Applies the index to `dimension`; returns the result and the next dimension to index.
  func apply(to tensor: Tensor, _ dimension: Int) -> (Tensor, Int)
}

/// In a subscript: a new dimension of size 1.
public struct NewAxis: TensorIndex {
  /// A new dimension of size 1.
  public init() {}
  /// Puts the new dimension in at `dimension`.
  public func apply(to tensor: Tensor, _ dimension: Int) -> (Tensor, Int) {
    (tensor.unsqueeze(dimension), dimension + 1)
  }
}

extension Int: TensorIndex {
  /// Takes the slice at this index; negative indices count from the end.
  public func apply(to tensor: Tensor, _ dimension: Int) -> (Tensor, Int) {
    (tensor.select(dimension, self), dimension)
  }
}

extension Range<Int>: TensorIndex {
  /// Takes the slices of this range.
  public func apply(to tensor: Tensor, _ dimension: Int) -> (Tensor, Int) {
    require(
      lowerBound >= 0 && upperBound <= tensor.size(dimension),
      "subscript: \(self) is outside dimension \(dimension) of shape \(tensor.shape)")
    return (tensor.narrow(dimension, from: lowerBound, length: count), dimension + 1)
  }
}

extension ClosedRange<Int>: TensorIndex {
  /// Takes the slices of this range.
  public func apply(to tensor: Tensor, _ dimension: Int) -> (Tensor, Int) {
    (lowerBound..<upperBound + 1).apply(to: tensor, dimension)
  }
}

extension PartialRangeFrom<Int>: TensorIndex {
  /// Takes the slices from the lower bound on.
  public func apply(to tensor: Tensor, _ dimension: Int) -> (Tensor, Int) {
    (lowerBound..<Swift.max(lowerBound, tensor.size(dimension))).apply(to: tensor, dimension)
  }
}

extension PartialRangeUpTo<Int>: TensorIndex {
  /// Takes the slices before the upper bound.
  public func apply(to tensor: Tensor, _ dimension: Int) -> (Tensor, Int) {
    (0..<upperBound).apply(to: tensor, dimension)
  }
}

extension Tensor {
  /// A part of the tensor, sharing its memory: `x[0]`, `x[1, 2..<4]`.
  public subscript(_ indices: any TensorIndex...) -> Tensor {
    var result = self
    var dimension = 0
    for index in indices { (result, dimension) = index.apply(to: result, dimension) }
    return result
  }

  /// All of the first dimension, then a part of the others: `x[..., 0]`.
  public subscript(_ all: UnboundedRange, _ indices: any TensorIndex...) -> Tensor {
    var result = self
    var dimension = 1
    for index in indices { (result, dimension) = index.apply(to: result, dimension) }
    return result
  }
}
