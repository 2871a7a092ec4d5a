/// Pictures in folders that are named by WordNet identifiers, labelled in the order of ImageNet-1K.
///
/// Folders of some of the thousand classes are enough: labels are those of ``ImageNet/synsets``, not places in the list
/// of folders.
public struct SynsetFolder: Dataset {
  /// The names of all thousand classes.
  public var classNames: [String] { ImageNet.classNames }
  private let folder: ImageFolder
  private let labels: [Int]

  /// The samples of `folder`, or `nil` if a folder's name is no identifier of ImageNet-1K.
  public init?(_ folder: ImageFolder) {
    let labels = folder.classNames.compactMap { ImageNet.labels[$0] }
    guard labels.count == folder.classNames.count else { return nil }
    self.folder = folder
    self.labels = labels
  }

  /// The number of samples.
  public var count: Int { folder.count }

  /// Reads a sample.
  public func sample(at index: Int) throws -> (image: Image, label: Int) {
    let sample = try folder.sample(at: index)
    return (sample.image, labels[sample.label])
  }
}
