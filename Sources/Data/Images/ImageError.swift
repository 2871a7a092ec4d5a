/// Why a picture could not be read or written.
public enum ImageError: Error, Hashable, Sendable {
  /// The file is missing, is not a regular file, or may not be read.
  case unreadable(path: String, reason: String)
  /// The first bytes are neither JPEG's nor PNG's.
  case unknownFormat(path: String)
  /// The bytes break the format, end early, or use a part of it that is not supported.
  case corrupt(path: String, format: ImageFormat, reason: String)
  /// The header announces more pixels than ``Image/pixelLimit``.
  case tooLarge(path: String, height: Int, width: Int)
  /// One side is more than ``Image/aspectLimit`` times the other.
  case tooNarrow(path: String, height: Int, width: Int)
  /// Not enough memory for the pixels or the file.
  case outOfMemory(path: String)
  /// The picture cannot be expressed in the format.
  case unencodable(path: String, format: ImageFormat, reason: String)
  /// The file could not be written.
  case unwritable(path: String, reason: String)
}

extension ImageError: CustomStringConvertible {
  /// What is wrong, where, and what to do.
  public var description: String {
    switch self {
    case .unreadable(let path, let reason):
      "\(path): cannot be read (\(reason)); check the path and its permissions."
    case .unknownFormat(let path):
      "\(path): expected a JPEG or PNG picture, got other content; convert the file or remove it."
    case .corrupt(let path, let format, let reason):
      "\(path): not a whole \(format) picture (\(reason)); fetch or export the file again, or remove it."
    case .tooLarge(let path, let height, let width):
      "\(path): \(height)x\(width) pixels are more than the limit of \(Image.pixelLimit); "
        + "store a smaller version."
    case .tooNarrow(let path, let height, let width):
      "\(path): one side of \(height)x\(width) pixels is more than \(Image.aspectLimit) times the other; "
        + "crop the picture or remove it."
    case .outOfMemory(let path):
      "\(path): not enough memory for this picture; use fewer workers or smaller pictures."
    case .unencodable(let path, let format, let reason):
      "\(path): cannot be stored as \(format) (\(reason)); choose another format or size."
    case .unwritable(let path, let reason):
      "\(path): cannot be written (\(reason)); check the folder, its permissions and the free space."
    }
  }
}
