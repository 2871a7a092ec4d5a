/// Pictures with class labels, read one at a time and by several workers at once.
public protocol Dataset: Sendable {
  /// The number of samples.
  var count: Int { get }
  /// The names of the classes; a label is an index into them.
  var classNames: [String] { get }
  /// The sample at an index in `0..<count`: the same at every call.
  ///
  /// - Throws: An error that names the file when it cannot be read.
  func sample(at index: Int) throws -> (image: Image, label: Int)
}
