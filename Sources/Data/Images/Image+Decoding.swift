import CImage
public import struct Foundation.URL

extension Image {
  /// The most pixels a file may announce: 2^27, or 403 MB of RGB samples. It stops small files that unpack
  /// to enormous pictures.
  public static let pixelLimit = 1 << 27

  /// The largest ratio of a file's sides. Resizing the shorter side to a network's input multiplies the longer one
  /// too, and would make an enormous picture of a line of pixels.
  public static let aspectLimit = 1000

  /// Reads a JPEG or PNG file.
  ///
  /// - Throws: ``ImageError``, naming the file.
  public init(contentsOf file: URL) throws(ImageError) {
    try self.init(decoding: readWholeFile(file), name: file.path(percentEncoded: false))
  }

  /// Decodes the bytes of a JPEG or PNG file, whichever they are.
  ///
  /// The pixels are those of Pillow's `Image.open(file).convert("RGB")`: grey is repeated, palettes are expanded,
  /// alpha and transparent colours are dropped without blending, four-component JPEGs are taken as inverted CMYK
  /// ink, 16-bit colour keeps its high bytes, and 16-bit grey is clipped at 255. Orientation tags and colour
  /// profiles are not applied. A file with missing or damaged picture data is an error, never a partly grey
  /// picture.
  ///
  /// - Parameters:
  ///   - bytes: A whole file.
  ///   - name: What errors call the picture, usually a path.
  /// - Throws: ``ImageError``.
  public init(decoding bytes: [UInt8], name: String) throws(ImageError) {
    guard let format = ImageFormat(signatureOf: bytes) else { throw .unknownFormat(path: name) }
    var decoded = CImagePixels()
    let decode = format == .jpeg ? cimage_decode_jpeg : cimage_decode_png
    let (status, message) = withMessage { message in
      bytes.withUnsafeBufferPointer {
        decode($0.baseAddress, $0.count, UInt64(Image.pixelLimit), &decoded, message)
      }
    }
    defer { cimage_free(decoded.bytes) }
    let (height, width) = (Int(decoded.height), Int(decoded.width))
    switch status {
    case CImageOK: break
    case CImageTooLarge: throw .tooLarge(path: name, height: height, width: width)
    case CImageNoMemory: throw .outOfMemory(path: name)
    default: throw .corrupt(path: name, format: format, reason: message)
    }
    guard max(height, width) <= Image.aspectLimit * min(height, width) else {
      throw .tooNarrow(path: name, height: height, width: width)
    }
    let samples = UnsafeBufferPointer(start: decoded.bytes, count: height * width * 3)
    self.init(height: height, width: width, pixels: Array(samples))
  }
}

/// Calls a C function with room for its message; gives its status and what it wrote.
func withMessage(_ body: (UnsafeMutablePointer<CChar>) -> CImageStatus) -> (CImageStatus, String) {
  withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(CImageMessageCapacity)) { buffer in
    buffer.initialize(repeating: 0)
    guard let message = buffer.baseAddress else { return (CImageNoMemory, "") }
    let status = body(message)
    return (status, String(cString: message))
  }
}
