/// A file of tensors that cannot be read or written as asked.
public struct CheckpointError: Error, CustomStringConvertible, Equatable, Sendable {
  /// The file.
  public let path: String
  /// The tensor or parameter, where it is one in particular.
  public let key: String?
  /// What was expected and what was found.
  public let problem: String
  /// What to do about it.
  public let remedy: String

  /// An error about the file at `path`.
  public init(path: String, key: String? = nil, problem: String, remedy: String) {
    self.path = path
    self.key = key
    self.problem = problem
    self.remedy = remedy
  }

  /// One sentence: the file, the key, the problem and the remedy.
  public var description: String {
    // A stranger's file may name its tensors as it likes.
    let name = key.map { " tensor '\($0.prefix(200))':" } ?? ""
    return "\(path):\(name) \(problem); \(remedy)".withoutControlCharacters
  }
}

extension String {
  /// The text with a space for each control character, so that a stranger's text cannot command a terminal.
  public var withoutControlCharacters: String {
    String(
      String.UnicodeScalarView(unicodeScalars.map { $0.properties.generalCategory == .control ? " " : $0 }))
  }
}
