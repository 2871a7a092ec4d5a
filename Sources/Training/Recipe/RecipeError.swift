/// Why a recipe cannot be used.
public struct RecipeError: Error, CustomStringConvertible, Hashable, Sendable {
  /// The file, or what else the recipe came from.
  public let source: String
  /// The field, with dots between its levels, where it is one in particular.
  public let key: String?
  /// What was expected and what was found.
  public let problem: String
  /// What to do about it.
  public let remedy: String

  /// An error about `key` of the recipe from `source`.
  public init(_ source: String, key: String? = nil, _ problem: String, remedy: String) {
    self.source = source
    self.key = key
    self.problem = problem
    self.remedy = remedy
  }

  /// One sentence: the source, the key, the problem and the remedy.
  public var description: String {
    "\(source): " + (key.map { "`\($0)` " } ?? "") + "\(problem); \(remedy)."
  }
}
