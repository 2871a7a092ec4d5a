import Foundation

/// A file that cannot be fetched, or not be kept.
public struct DownloadError: Error, CustomStringConvertible, Equatable, Sendable {
  /// The address or the file that it is about.
  public let subject: String
  /// What was expected and what was found.
  public let problem: String
  /// What to do about it.
  public let remedy: String

  /// An error about a file or an address.
  public init(_ subject: String, _ problem: String, remedy: String) {
    self.subject = subject
    self.problem = problem
    self.remedy = remedy
  }

  /// An error about a file with the operating system's own words for its cause, taken from `errno`.
  init(_ file: URL, system problem: String, remedy: String) {
    let cause = String(cString: strerror(errno))
    self.init(file.path(percentEncoded: false), "\(problem) (\(cause))", remedy: remedy)
  }

  /// One sentence: the subject, the problem and the remedy.
  public var description: String {
    // A stranger's server may say what it likes.
    let scalars = "\(subject): \(problem); \(remedy)".unicodeScalars
    return String(
      String.UnicodeScalarView(scalars.map { $0.properties.generalCategory == .control ? " " : $0 }))
  }
}
