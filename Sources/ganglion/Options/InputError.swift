import Foundation
import Layers

/// Something that a person gave and that cannot be used.
struct InputError: Error, CustomStringConvertible {
  /// One sentence: the file or option, the problem and the remedy.
  let description: String

  init(_ source: String, _ problem: String, remedy: String) {
    description = "\(printable(source)): \(problem); \(remedy)."
  }

  /// The mismatch in one sentence: of each kind the number and an example.
  init(_ mismatch: ParameterMismatch) {
    func part(_ count: Int, _ title: String, _ example: String?) -> String? {
      example.map { "\(count) tensors \(title), such as \(printable(String($0.prefix(100))))" }
    }
    let parts = [
      part(mismatch.missing.count, "missing", mismatch.missing.first),
      part(mismatch.unexpected.count, "not expected", mismatch.unexpected.first),
      part(
        mismatch.misshaped.count, "of another shape",
        mismatch.misshaped.first.map { "\($0.key), \($0.got) instead of \($0.expected)" }),
    ]
    self.init(
      mismatch.source, "does not fit the model (\(parts.compactMap(\.self).joined(separator: "; ")))",
      remedy: "choose the model that it was saved from")
  }
}
