/// A picture that has not been decoded yet.
public struct PictureSource: Hashable, Sendable {
  /// What the picture is called, usually its path.
  public let name: String
  private let bytes: [UInt8]?

  /// The picture in a file.
  public init(path: String) {
    name = path
    bytes = nil
  }

  /// The picture whose file has these bytes.
  public init(_ bytes: [UInt8], name: String) {
    self.name = name
    self.bytes = bytes
  }

  /// Reads and decodes the picture.
  public func image() throws(ImageError) -> Image {
    try Image(decoding: storedBytes(), name: name)
  }

  /// Reads what the picture is stored as.
  public func format() throws(ImageError) -> ImageFormat {
    let bytes = try storedBytes()
    guard let format = ImageFormat(signatureOf: bytes) else { throw .unknownFormat(path: name) }
    return format
  }

  private func storedBytes() throws(ImageError) -> [UInt8] {
    if let bytes { return bytes }
    return try readWholeFile(name)
  }
}
