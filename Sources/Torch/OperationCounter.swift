/// Counts the multiply-adds of what runs inside ``count(_:)``: convolutions, linear layers, matrix and attention
/// products, selective scans. Norms, activations and sums are not counted, as is usual in the field.
public final class OperationCounter: @unchecked Sendable {
  // Unchecked: reached only through the task-local value, by the one thread that runs the counted body.
  @TaskLocal private static var current: OperationCounter?
  private var region = ""
  private var sums: [String: Int] = [:]

  private init() {}

  /// The multiply-adds that `body` asks for, by region.
  public static func count(_ body: () throws -> Void) rethrows -> [String: Int] {
    let counter = OperationCounter()
    try $current.withValue(counter) { try body() }
    return counter.sums
  }

  /// Attributes what `body` counts to `name`.
  public static func region<Result>(_ name: String, _ body: () throws -> Result) rethrows -> Result {
    guard let counter = current else { return try body() }
    let before = counter.region
    counter.region = name
    defer { counter.region = before }
    return try body()
  }

  /// Adds `multiplyAdds` to the current region, if anyone is counting.
  public static func add(_ multiplyAdds: @autoclosure () -> Int) {
    guard let counter = current else { return }
    counter.sums[counter.region, default: 0] += multiplyAdds()
  }
}
