import Synchronization
public import Testing
public import Torch

/// A tensor full of NaN, to be handed to a kernel that must write all of it.
public func poisonedTensor(_ shape: [Int], dtype: DType = .float32) -> Tensor {
  .full(shape, .nan, dtype: dtype)
}

private let poisonDepth = Mutex(0)

/// The switch belongs to the process and tests run at once: the last one to leave turns it off.
private func enterPoison() {
  poisonDepth.withLock { depth in
    depth += 1
    Engine.isDeterministic = true
  }
}

private func leavePoison() {
  poisonDepth.withLock { depth in
    depth -= 1
    if depth == 0 { Engine.isDeterministic = false }
  }
}

/// Keeps the switch of ``withPoisonedAllocations(_:)`` on for a whole test.
///
/// The switch may choose kernels that round differently, too: a test that compares bits must not see it change.
public struct SteadyKernels: SuiteTrait, TestTrait, TestScoping {
  public var isRecursive: Bool { true }

  public func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    enterPoison()
    defer { leavePoison() }
    try await function()
  }
}

extension Trait where Self == SteadyKernels {
  /// The same kernels from the test's beginning to its end.
  public static var steadyKernels: SteadyKernels { SteadyKernels() }
}

/// Runs `body` while LibTorch fills all fresh memory with NaN (integers: their largest value), so that a kernel
/// that leaves part of its output unwritten, or reads what it has not written, is seen.
public func withPoisonedAllocations<Result>(_ body: () throws -> Result) rethrows -> Result {
  enterPoison()
  defer { leavePoison() }
  return try body()
}
