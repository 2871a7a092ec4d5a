public import Foundation

/// A data set in folders: `root/class/…/picture.jpg`.
///
/// Labels follow the byte order of the class names. Within a class, samples come folder by folder, folders and files in
/// byte order, as in torchvision's `ImageFolder`. Sub-folders of a class are searched and symbolic links are followed;
/// names that start with a dot are passed over.
public struct ImageFolder: Dataset {
  /// The file extensions that mark pictures, in lower case; the format itself is read from the content.
  public static let extensions = ["jpg", "jpeg", "png"]

  /// The folder of the classes.
  public let root: URL
  /// The names of the class folders, in byte order.
  public let classNames: [String]
  /// The number of files in class folders that are not pictures by their extension, and so are no samples.
  public let ignoredFileCount: Int

  private let files: [(path: String, label: Int)]

  /// Lists the folder; no picture is opened.
  ///
  /// - Throws: ``DatasetError`` if the folder is missing or has no class, or a class has no picture.
  public init(root: URL) throws(DatasetError) {
    let path = root.path(percentEncoded: false)
    guard isFolder(path) else { throw .missingFolder(path: path) }
    let classNames = try visibleNames(in: path).filter { isFolder(path + "/" + $0) }
    guard !classNames.isEmpty else { throw .noClasses(path: path) }

    var files: [(path: String, label: Int)] = []
    var ignoredFileCount = 0
    for (label, name) in classNames.enumerated() {
      var listing = Listing(root: path)
      try listing.search(name, enclosing: [])
      let pictures = listing.pictures
      guard !pictures.isEmpty else { throw .emptyClass(path: path + "/" + name) }
      files += pictures.map { (path: $0, label: label) }
      ignoredFileCount += listing.ignoredCount
    }
    self.root = root
    self.classNames = classNames
    self.files = files
    self.ignoredFileCount = ignoredFileCount
  }

  /// The pictures to judge a model by: those of `folder/val` if there is such a folder, else those of `folder`.
  ///
  /// - Parameter folder: one with a folder a class, or one whose `val/` holds them.
  /// - Throws: ``DatasetError`` as for ``init(root:)``.
  public init(validationIn folder: URL) throws(DatasetError) {
    let val = folder.appending(path: "val")
    try self.init(root: isFolder(val.path(percentEncoded: false)) ? val : folder)
  }

  /// The number of pictures in all classes.
  public var count: Int { files.count }

  /// The file of a sample.
  public func file(at index: Int) -> URL {
    root.appending(path: files[index].path, directoryHint: .notDirectory)
  }

  /// Reads the picture of a sample.
  public func sample(at index: Int) throws -> (image: Image, label: Int) {
    (try Image(contentsOf: file(at: index)), files[index].label)
  }
}

/// The pictures under one class folder, by paths from the root.
private struct Listing {
  let root: String
  private var picturesByFolder: [String: [String]] = [:]
  private(set) var ignoredCount = 0

  init(root: String) {
    self.root = root
  }

  var pictures: [String] {
    picturesByFolder.keys.sorted(by: precedesInBytes).flatMap { picturesByFolder[$0, default: []] }
  }

  /// Adds a folder and those below. `enclosing` holds the real paths of the folders above, so that a link to one of
  /// them ends the search instead of repeating it for ever.
  mutating func search(_ folder: String, enclosing: [String]) throws(DatasetError) {
    let path = root + "/" + folder
    let realPath = URL(filePath: path).resolvingSymlinksInPath().path(percentEncoded: false)
    if enclosing.contains(realPath) { return }
    for name in try visibleNames(in: path) {
      if ImageFolder.extensions.contains((name as NSString).pathExtension.lowercased()) {
        picturesByFolder[folder, default: []].append(folder + "/" + name)
      } else if isFolder(path + "/" + name) {
        try search(folder + "/" + name, enclosing: enclosing + [realPath])
      } else {
        ignoredCount += 1
      }
    }
  }
}

/// The names in a folder without the hidden ones, in byte order.
private func visibleNames(in folder: String) throws(DatasetError) -> [String] {
  do {
    return try FileManager.default.contentsOfDirectory(atPath: folder)
      .filter { !$0.hasPrefix(".") }
      .sorted(by: precedesInBytes)
  } catch {
    throw .unusableFolder(path: folder, reason: reason(of: error))
  }
}

/// The order of encoded bytes, which is that of Python's strings; `<` compares characters instead.
private func precedesInBytes(_ first: String, _ second: String) -> Bool {
  first.utf8.lexicographicallyPrecedes(second.utf8)
}
