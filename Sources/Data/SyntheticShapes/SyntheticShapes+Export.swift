public import Foundation

extension SyntheticShapes {
  /// Writes the set out as files.
  ///
  /// - `images/<class>/<index>.png`: the pictures, readable as an ``ImageFolder``.
  /// - `masks/<class>/<index>.png`: grey pictures, 255 where the object is.
  /// - `annotations.json`: boxes and masks in the COCO layout (boxes as x, y, width, height; masks as uncompressed run
  ///   lengths down the columns). It is written last, so a folder without it is not complete.
  ///
  /// - Parameter folder: A new or empty folder.
  /// - Throws: ``DatasetError`` or ``ImageError``, naming the path.
  public func write(to folder: URL) throws {
    try makeEmptyFolder(folder)
    for shape in Shape.allCases {
      for kind in ["images", "masks"] {
        try makeFolder(folder.appending(path: "\(kind)/\(shape.name)"))
      }
    }
    var document = COCODocument(
      images: [], annotations: [],
      categories: Shape.allCases.map { .init(id: $0.rawValue + 1, name: $0.name) })
    for index in 0..<count {
      let sample = annotatedSample(at: index)
      let digits = String(index)
      let name = String(repeating: "0", count: max(0, 6 - digits.count)) + digits + ".png"
      let path = "\(sample.shape.name)/\(name)"
      try sample.image.writePNG(to: folder.appending(path: "images/\(path)"))
      let grey = try encodePNG(sample.mask.map { $0 * 255 }, height: imageSize, width: imageSize, channels: 1)
      try writeWholeFile(grey, to: folder.appending(path: "masks/\(path)"))
      document.append(sample, path: path)
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    try writeWholeFile(Array(encoder.encode(document)), to: folder.appending(path: "annotations.json"))
  }
}

/// The parts of a COCO instance file (https://cocodataset.org/#format-data) that boxes and masks need.
private struct COCODocument: Encodable {
  struct Picture: Encodable {
    let id, width, height: Int
    let fileName: String

    enum CodingKeys: String, CodingKey {
      case id, width, height
      case fileName = "file_name"
    }
  }

  struct Runs: Encodable {
    let size, counts: [Int]
  }

  struct Annotation: Encodable {
    let id, imageID, categoryID, area, isCrowd: Int
    let box: [Int]
    let segmentation: Runs

    enum CodingKeys: String, CodingKey {
      case id, area, segmentation
      case imageID = "image_id"
      case categoryID = "category_id"
      case isCrowd = "iscrowd"
      case box = "bbox"
    }
  }

  struct Category: Encodable {
    let id: Int
    let name: String
  }

  var images: [Picture]
  var annotations: [Annotation]
  let categories: [Category]

  mutating func append(_ sample: SyntheticShapes.Sample, path: String) {
    let id = images.count + 1
    let (height, width, box) = (sample.image.height, sample.image.width, sample.box)
    let area = sample.mask.count { $0 != 0 }
    images.append(Picture(id: id, width: width, height: height, fileName: path))
    annotations.append(
      Annotation(
        id: id, imageID: id, categoryID: sample.shape.rawValue + 1, area: area, isCrowd: 0,
        box: [box.left, box.top, box.width, box.height],
        segmentation: Runs(
          size: [height, width], counts: columnRuns(of: sample.mask, height: height, width: width))))
  }
}

/// The lengths of the runs of equal elements down the columns: zeros first (perhaps none), then ones, in turn.
private func columnRuns(of mask: [UInt8], height: Int, width: Int) -> [Int] {
  var runs = [0]
  var current: UInt8 = 0
  for column in 0..<width {
    for row in 0..<height {
      if mask[row * width + column] != current {
        current = 1 - current
        runs.append(0)
      }
      runs[runs.count - 1] += 1
    }
  }
  return runs
}

private func makeEmptyFolder(_ folder: URL) throws(DatasetError) {
  let path = folder.path(percentEncoded: false)
  if let content = try? FileManager.default.contentsOfDirectory(atPath: path), !content.isEmpty {
    throw .folderNotEmpty(path: path)
  }
  try makeFolder(folder)
}

private func makeFolder(_ folder: URL) throws(DatasetError) {
  do {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  } catch {
    throw .unusableFolder(path: folder.path(percentEncoded: false), reason: reason(of: error))
  }
}
