import CImage
public import struct Foundation.URL

extension Image {
  /// The picture as the bytes of a PNG file; nothing is lost.
  public func pngBytes() throws(ImageError) -> [UInt8] {
    try encodePNG(pixels, height: height, width: width, channels: 3)
  }

  /// The picture as the bytes of a JPEG file.
  ///
  /// - Parameter quality: From 1 (small) to 100 (good); from 90 on, colour keeps its full resolution.
  /// - Returns: A whole file.
  /// - Throws: ``ImageError`` if the picture is too large for the format (65,500 pixels a side).
  public func jpegBytes(quality: Int = 90) throws(ImageError) -> [UInt8] {
    guard (1...100).contains(quality) else { fatalError("JPEG quality is 1 to 100; got \(quality).") }
    return try encode(height: height, width: width, as: .jpeg) { file, message in
      pixels.withUnsafeBufferPointer {
        cimage_encode_jpeg(
          $0.baseAddress, UInt32(width), UInt32(height), CInt(quality), file, message)
      }
    }
  }

  /// Writes a PNG file. The file appears whole or not at all.
  public func writePNG(to file: URL) throws(ImageError) {
    try writeWholeFile(pngBytes(), to: file)
  }

  /// Writes a JPEG file (see ``jpegBytes(quality:)``). The file appears whole or not at all.
  public func writeJPEG(to file: URL, quality: Int = 90) throws(ImageError) {
    try writeWholeFile(jpegBytes(quality: quality), to: file)
  }
}

/// PNG bytes of 8-bit samples `[height, width, channels]`, grey for one channel and RGB for three.
func encodePNG(
  _ samples: [UInt8], height: Int, width: Int, channels: Int
) throws(ImageError) -> [UInt8] {
  guard channels == 1 || channels == 3, samples.count == height * width * channels else {
    fatalError("\(samples.count) samples are not \(height)x\(width) pixels of 1 or 3 channels.")
  }
  return try encode(height: height, width: width, as: .png) { file, message in
    samples.withUnsafeBufferPointer {
      cimage_encode_png(
        $0.baseAddress, UInt32(width), UInt32(height), CInt(channels), file, message)
    }
  }
}

private func encode(
  height: Int, width: Int, as format: ImageFormat,
  by encoder: (UnsafeMutablePointer<CImageFile>, UnsafeMutablePointer<CChar>) -> CImageStatus
) throws(ImageError) -> [UInt8] {
  let name = "picture of \(height)x\(width) pixels"
  guard height <= Int(UInt32.max), width <= Int(UInt32.max) else {
    throw .unencodable(path: name, format: format, reason: "too large")
  }
  var file = CImageFile()
  let (status, message) = withMessage { encoder(&file, $0) }
  defer { cimage_free(file.bytes) }
  switch status {
  case CImageOK: return Array(UnsafeBufferPointer(start: file.bytes, count: file.count))
  case CImageNoMemory: throw .outOfMemory(path: name)
  default: throw .unencodable(path: name, format: format, reason: message)
  }
}
