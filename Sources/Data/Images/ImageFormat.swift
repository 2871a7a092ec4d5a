/// The file formats of pictures.
public enum ImageFormat: Hashable, Sendable, CustomStringConvertible {
  /// ITU-T T.81.
  case jpeg
  /// ISO/IEC 15948.
  case png

  /// The format whose signature `bytes` start with; names and extensions are not looked at.
  public init?(signatureOf bytes: [UInt8]) {
    if bytes.starts(with: [0xFF, 0xD8, 0xFF]) {
      self = .jpeg
    } else if bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) {
      self = .png
    } else {
      return nil
    }
  }

  /// The format's usual name.
  public var description: String {
    switch self {
    case .jpeg: "JPEG"
    case .png: "PNG"
    }
  }
}
