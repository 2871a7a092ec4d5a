import Scan
public import Torch

/// A run over compiled kernels: each against its definition, and against itself a second time.
public struct KernelVerification {
  private let checks: [any KernelCheck]
  private let device: Device
  private let isInterrupted: () -> Bool

  /// A run of these comparisons.
  ///
  /// - Parameters:
  ///   - checks: what is compared.
  ///   - device: where the kernels run.
  ///   - isInterrupted: asked between comparisons; the rest is left out once it is true.
  public init(
    _ checks: [any KernelCheck], on device: Device = .cpu, isInterrupted: @escaping () -> Bool = { false }
  ) {
    (self.checks, self.device, self.isInterrupted) = (checks, device, isInterrupted)
  }

  /// Runs everything, with fresh memory filled with NaN.
  ///
  /// That is a setting of the whole process, which is put back at the end.
  ///
  /// - Parameter report: called after each comparison.
  /// - Returns: all results.
  public func run(_ report: (CaseResult) -> Void = { _ in }) -> Verification.Summary {
    let wasDeterministic = Engine.isDeterministic
    defer { Engine.isDeterministic = wasDeterministic }
    var results: [CaseResult] = []
    var isCut = false
    var truth: (key: String, outputs: [KernelOutput])?
    for check in checks {
      if isInterrupted() {
        isCut = true
        break
      }
      let result = CaseResult.measured(check.kernel, id: check.id, kind: "kernel") { tally in
        Engine.isDeterministic = false
        let expected = truth?.key == check.truthKey ? truth?.outputs : nil
        let outputs = expected ?? check.truth()
        truth = (check.truthKey, outputs)
        Engine.isDeterministic = true
        compare(check, outputs, &tally)
      }
      if !result.problems.isEmpty { truth = nil }
      results.append(result)
      report(result)
    }
    var types: [String] = []
    for name in checks.map(\.dtype.name) where !types.contains(name) { types.append(name) }
    return Verification.Summary(
      engine: EngineDescription(device: device), dtype: types.joined(separator: ", "), device: "\(device)",
      results: results, isInterrupted: isCut)
  }

  private func compare(_ check: any KernelCheck, _ truth: [KernelOutput], _ tally: inout Tally) {
    let (first, second) = (check.computed(on: device), check.computed(on: device))
    for (own, expected) in zip(first, truth) {
      tally.compare(
        own.name, own.tensor, expected.tensor,
        tolerance: KernelTolerance.of(check.dtype, isGradient: own.isGradient))
    }
    for (one, two) in zip(first, second) where one.tensor.bytes() != two.tensor.bytes() {
      tally.problems.append("\(one.name): two runs on the same operands differ")
    }
  }
}

extension Tally {
  /// Compares two tensors element by element, relative to the largest magnitude of `expected`.
  mutating func compare(_ name: String, _ actual: Tensor, _ expected: Tensor, tolerance: Double) {
    guard actual.shape == expected.shape else {
      problems.append("\(name): expected the shape \(expected.shape), got \(actual.shape)")
      return
    }
    let (own, truth) = (
      actual.to(device: .cpu, dtype: .float64).contiguous().reshape(-1), expected.contiguous().reshape(-1)
    )
    let peak = truth.abs().max().item()
    let scale = peak > 0 ? peak : 1
    let errors = (own - truth).abs() / scale
    // An element that is no number is the largest to LibTorch.
    let index = errors.argmax(0).itemInt()
    add(
      Check(
        name: name, index: index, expected: truth[index].item(), actual: own[index].item(),
        error: errors[index].item(), scale: scale, tolerance: tolerance))
  }
}
