/// Which computation stands behind the scan operators.
public enum ScanKernel: String, Sendable, CaseIterable {
  /// The definition, step by step with LibTorch's operators: slow, differentiable any number of times.
  case naive
  /// The compiled CPU kernels with their own backward pass.
  case compiled

  /// The kernel that the current task uses.
  @TaskLocal public static var current: ScanKernel = .compiled
}

/// Runs `body` with a given scan kernel, for tests and benchmarks.
public func withScanKernel<Result>(_ kernel: ScanKernel, _ body: () throws -> Result) rethrows -> Result {
  try ScanKernel.$current.withValue(kernel, operation: body)
}
