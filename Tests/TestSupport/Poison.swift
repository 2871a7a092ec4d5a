import Synchronization
public import Torch

/// A tensor full of NaN, to be handed to a kernel that must write all of it.
public func poisonedTensor(_ shape: [Int], dtype: DType = .float32) -> Tensor {
  .full(shape, .nan, dtype: dtype)
}

private let poisonDepth = Mutex(0)

/// Runs `body` while LibTorch fills all fresh memory with NaN (integers: their largest value), so that a kernel
/// that leaves part of its output unwritten, or reads what it has not written, is seen.
public func withPoisonedAllocations<Result>(_ body: () throws -> Result) rethrows -> Result {
  // The switch belongs to the process and tests run at once: the last one to leave turns it off.
  poisonDepth.withLock { depth in
    depth += 1
    Engine.isDeterministic = true
  }
  defer {
    poisonDepth.withLock { depth in
      depth -= 1
      if depth == 0 { Engine.isDeterministic = false }
    }
  }
  return try body()
}
