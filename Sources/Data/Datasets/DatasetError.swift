/// Why a set of pictures cannot be used.
public enum DatasetError: Error, Hashable, Sendable {
  /// The folder does not exist or is not a folder.
  case missingFolder(path: String)
  /// The folder cannot be listed, made or written into.
  case unusableFolder(path: String, reason: String)
  /// The folder has no sub-folders, which would be its classes.
  case noClasses(path: String)
  /// A class folder holds no picture.
  case emptyClass(path: String)
  /// The folder to write into has content already.
  case folderNotEmpty(path: String)
  /// Samples of one batch differ in size after the transforms.
  case unequalSizes(index: Int, height: Int, width: Int, expectedHeight: Int, expectedWidth: Int)
}

extension DatasetError: CustomStringConvertible {
  /// What is wrong, where, and what to do.
  public var description: String {
    switch self {
    case .missingFolder(let path):
      "\(path): there is no such folder; check the path of the data set."
    case .unusableFolder(let path, let reason):
      "\(path): the folder cannot be used (\(reason)); check its permissions."
    case .noClasses(let path):
      "\(path): expected one sub-folder per class, got none; arrange the pictures as root/class/picture.png."
    case .emptyClass(let path):
      "\(path): the class has no pictures (\(ImageFolder.extensions.joined(separator: ", "))); "
        + "add some or remove the folder."
    case .folderNotEmpty(let path):
      "\(path): expected a new or empty folder, got one with content; choose another or empty it."
    case .unequalSizes(let index, let height, let width, let expectedHeight, let expectedWidth):
      "Sample \(index): expected \(expectedHeight)x\(expectedWidth) pixels as the batch's first sample, "
        + "got \(height)x\(width); end the transforms with a resize or crop to one size."
    }
  }
}
