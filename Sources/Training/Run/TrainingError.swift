/// Why a run cannot start, go on or be written down.
public struct TrainingError: Error, CustomStringConvertible, Hashable, Sendable {
  /// The file, folder or place that it is about.
  public let place: String
  /// What was expected and what was found.
  public let problem: String
  /// What to do about it.
  public let remedy: String

  /// An error about `place`.
  public init(_ place: String, _ problem: String, remedy: String) {
    self.place = place
    self.problem = problem
    self.remedy = remedy
  }

  /// One sentence: the place, the problem and the remedy.
  public var description: String { "\(place): \(problem); \(remedy)." }
}
