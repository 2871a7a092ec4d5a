import Foundation

/// Large numbers in few digits.
public enum Quantity {
  /// A count with four significant digits and a decimal prefix: `27.05 M`.
  public static func count(_ value: Int) -> String { scaled(value, 1000, ["", "k", "M", "G", "T", "P"]) }

  /// A size with a binary prefix: `103.2 MiB`.
  public static func bytes(_ value: Int) -> String {
    scaled(value, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"])
  }

  private static func scaled(_ value: Int, _ base: Double, _ units: [String]) -> String {
    var rest = Double(value)
    var unit = 0
    while rest >= base && unit + 1 < units.count {
      rest /= base
      unit += 1
    }
    if unit == 0 { return units[0].isEmpty ? "\(value)" : "\(value) \(units[0])" }
    let digits = rest < 10 ? 3 : rest < 100 ? 2 : 1
    return String(format: "%.\(digits)f ", rest) + units[unit]
  }
}
