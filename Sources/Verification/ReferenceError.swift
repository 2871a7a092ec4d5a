/// A reference file that cannot be used.
public struct ReferenceError: Error, CustomStringConvertible, Equatable, Sendable {
  /// The file.
  public let path: String
  /// Where in the file, for example `cases[2].logits`.
  public let key: String?
  /// What was expected and what was found.
  public let problem: String
  /// What to do about it.
  public let remedy: String

  init(path: String, key: String? = nil, problem: String, remedy: String) {
    self.path = path
    self.key = key
    self.problem = problem
    self.remedy = remedy
  }

  /// One sentence: the file, the key, the problem and the remedy.
  public var description: String {
    let place = key.map { " `\($0.prefix(200))`:" } ?? ""
    return "\(path):\(place) \(problem); \(remedy)"
  }
}
