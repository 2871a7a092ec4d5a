import CTorch

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A failure reported by LibTorch, with the operator and the shapes of its operands.
public struct TorchError: Error, CustomStringConvertible, Equatable {
  /// The sentence.
  public let message: String
  /// The sentence.
  public var description: String { message }

  /// An error that says `message`.
  public init(_ message: String) { self.message = message }
}

/// Runs `body` so that a failing tensor operation throws instead of trapping.
///
/// The first failure is kept; tensor operations after it return a poisoned tensor (sizes 1, items NaN) without
/// running; when `body` ends, the first failure is thrown. Synchronous on purpose: the scope belongs to the
/// current thread and must not cross an `await`.
///
/// - Throws: ``TorchError`` for the first failed operation, or what `body` throws.
public func withTorchErrors<Result>(_ body: () throws -> Result) throws -> Result {
  ct_scope_enter()
  let result = Swift.Result { try body() }
  if let message = ct_scope_leave() {
    defer { free(message) }
    throw TorchError(String(cString: message))
  }
  return try result.get()
}

/// Reports a programmer's error: traps with the sentence, or fails the current ``withTorchErrors(_:)`` scope.
///
/// - Parameters:
///   - condition: what must hold.
///   - message: names the operator, what was expected and what came.
public func require(_ condition: Bool, _ message: @autoclosure () -> String) {
  if condition || ct_scope_failed() { return }
  let message = message()
  guard ct_scope_active() else { fatalError(message) }
  ct_scope_fail(message)
}

/// Whether an operation of the current error scope has failed, so that results are poisoned.
var isPoisoned: Bool { ct_scope_failed() }

func lastTorchError() -> TorchError { TorchError(String(cString: ct_last_error())) }

func requireSuccess(_ status: Int32, _ operation: String) {
  require(status == 0, "\(operation): \(String(cString: ct_last_error()))")
}
