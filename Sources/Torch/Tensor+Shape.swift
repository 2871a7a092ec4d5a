extension Tensor {
  /// The same elements in another shape; one size may be -1, which is then derived.
  public func reshape(_ shape: [Int]) -> Tensor { Aten.reshape(.tensor(self), .ints(shape)) }

  /// The same elements in another shape; one size may be -1, which is then derived.
  public func reshape(_ shape: Int...) -> Tensor { reshape(shape) }

  /// The dimensions in another order.
  public func permute(_ dimensions: Int...) -> Tensor { Aten.permute(.tensor(self), .ints(dimensions)) }

  /// Two dimensions exchanged.
  public func transpose(_ first: Int, _ second: Int) -> Tensor {
    Aten.transpose(.tensor(self), .int(first), .int(second))
  }

  /// A dimension of size 1 removed.
  public func squeeze(_ dimension: Int) -> Tensor { Aten.squeeze(.tensor(self), .int(dimension)) }

  /// A dimension of size 1 put in.
  public func unsqueeze(_ dimension: Int) -> Tensor { Aten.unsqueeze(.tensor(self), .int(dimension)) }

  /// Dimensions of size 1 repeated without copying; -1 keeps a size.
  public func expand(_ shape: [Int]) -> Tensor { Aten.expand(.tensor(self), .ints(shape)) }

  /// The dimensions `first...last` made one.
  public func flatten(from first: Int = 0, to last: Int = -1) -> Tensor {
    Aten.flatten(.tensor(self), .int(first), .int(last))
  }

  /// The order along the dimensions reversed.
  public func flip(_ dimensions: Int...) -> Tensor { Aten.flip(.tensor(self), .ints(dimensions)) }

  /// The elements moved cyclically by `shifts` along `dimensions`.
  public func roll(_ shifts: [Int], along dimensions: [Int]) -> Tensor {
    Aten.roll(.tensor(self), .ints(shifts), .ints(dimensions))
  }

  /// The part `start..<start + length` along a dimension, without copying.
  public func narrow(_ dimension: Int, from start: Int, length: Int) -> Tensor {
    Aten.narrow(.tensor(self), .int(dimension), .int(start), .int(length))
  }

  /// The slice at `index` along a dimension, which disappears.
  public func select(_ dimension: Int, _ index: Int) -> Tensor {
    Aten.select(.tensor(self), .int(dimension), .int(index))
  }

  /// `count` parts along a dimension, equal but for a smaller last one.
  public func chunk(_ count: Int, along dimension: Int) -> [Tensor] {
    Aten.chunk.all(.tensor(self), .int(count), .int(dimension)).padded(to: count)
  }

  /// Parts of those sizes along a dimension.
  public func split(_ sizes: [Int], along dimension: Int) -> [Tensor] {
    Aten.split.all(.tensor(self), .ints(sizes), .int(dimension)).padded(to: sizes.count)
  }

  /// The slices at `indices` along a dimension, in that order.
  public func indexSelect(_ dimension: Int, _ indices: Tensor) -> Tensor {
    Aten.indexSelect(.tensor(self), .int(dimension), .tensor(indices))
  }

  /// For each position of `indices`, the element whose coordinate along `dimension` it names.
  public func gather(_ dimension: Int, _ indices: Tensor) -> Tensor {
    Aten.gather(.tensor(self), .int(dimension), .tensor(indices))
  }

  /// The elements where `mask` is true, in one dimension.
  public func masked(by mask: Tensor) -> Tensor { Aten.index(.tensor(self), .optionalTensors([mask])) }

  /// `value` where `mask` is true, this tensor elsewhere.
  public func maskedFill(_ mask: Tensor, _ value: Double) -> Tensor {
    Aten.maskedFill(.tensor(self), .tensor(mask), .double(value))
  }

  /// `padding` elements of `value` around the last dimensions: before and after the last, then the one before it, ….
  public func padded(_ padding: [Int], value: Double = 0) -> Tensor {
    Aten.pad(.tensor(self), .ints(padding), .string("constant"), .double(value))
  }
}

extension [Tensor] {
  /// A poisoned list has one entry; callers that destructure expect the declared number.
  fileprivate func padded(to count: Int) -> [Tensor] {
    guard isPoisoned, self.count < count, let first else { return self }
    return Array(repeating: first, count: count)
  }
}

/// Tensors joined along a dimension.
public func concatenate(_ tensors: [Tensor], along dimension: Int) -> Tensor {
  Aten.cat(.tensors(tensors), .int(dimension))
}

/// Tensors of one shape joined along a new dimension.
public func stack(_ tensors: [Tensor], along dimension: Int = 0) -> Tensor {
  Aten.stack(.tensors(tensors), .int(dimension))
}

/// `a` where `condition` is true, `b` elsewhere.
public func select(_ condition: Tensor, _ a: Tensor, _ b: Tensor) -> Tensor {
  Aten.where(.tensor(condition), .tensor(a), .tensor(b))
}
