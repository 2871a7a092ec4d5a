import Randomness
public import Data
import Foundation

/// What a run learns from and what it is judged by.
public struct TrainingData: Sendable {
  /// The samples to learn from.
  public let training: any Dataset
  /// The samples to judge by.
  public let validation: any Dataset
  /// The names of the classes, the same for both.
  public let classNames: [String]
}

extension Recipe {
  /// Opens the data sets.
  ///
  /// - Throws: ``RecipeError`` or `DatasetError`, naming the path.
  public func makeData() throws -> TrainingData {
    let (training, validation) = try bases()
    let budget = data.cacheMegabytes << 20
    let names = try classNames(with: training.classNames)
    func kept(_ samples: any Dataset) -> any Dataset {
      CachedDataset(samples, byteBudget: budget).naming(names)
    }
    return TrainingData(training: kept(training), validation: kept(validation), classNames: names)
  }

  /// The data's classes and those that the recipe adds.
  private func classNames(with names: [String]) throws -> [String] {
    guard let classes = model.classes else { return names }
    guard classes >= names.count else {
      throw RecipeError(
        "the recipe", key: "model.classes", "is \(classes), and the data have \(names.count) classes",
        remedy: "give at least \(names.count), or leave it out")
    }
    return names + (names.count..<classes).map(nameOfExtraClass)
  }

  private func bases() throws -> (training: any Dataset, validation: any Dataset) {
    switch data.kind {
    case .embedded:
      return (embedded(data.trainingCount, .training), embeddedValidation)
    case .imagefolder:
      guard let path = data.path else {
        throw RecipeError(
          "the recipe", key: "data.path", "is not given, and `data.kind` is imagefolder",
          remedy: "name the folder there or with --data")
      }
      let root = URL(filePath: path, directoryHint: .isDirectory)
      let (train, val) = (root.appending(path: "train"), root.appending(path: "val"))
      if [train, val].allSatisfy({ isFolder($0.path(percentEncoded: false)) }) {
        let (training, validation) = (try ImageFolder(root: train), try ImageFolder(root: val))
        try requireSameClasses(
          validation.classNames, of: val.path(percentEncoded: false), training.classNames)
        return (training, validation)
      }
      guard let fraction = data.validationFraction else {
        throw RecipeError(
          path, "holds no `train` and `val` folders, and `data.validation_fraction` is not given",
          remedy: "make those folders, or give the fraction of the samples to validate with")
      }
      return try divided(ImageFolder(root: root), fraction, path)
    }
  }

  /// The embedded set's pictures to judge by.
  public var embeddedValidation: SyntheticShapes { embedded(data.validationCount, .validation) }

  private func embedded(_ count: Int, _ split: SyntheticShapes.Split) -> SyntheticShapes {
    // The pictures are one fixed set: the run's seed does not change what is learned from.
    SyntheticShapes(count: count, imageSize: data.imageSize, split: split, seed: 0)
  }

  private func divided(
    _ folder: ImageFolder, _ fraction: Double, _ path: String
  ) throws -> (any Dataset, any Dataset) {
    var random = CounterRandom(seed: seed, 0x5eed_5711)
    let order = random.permutation(folder.count)
    let kept = Int((Double(folder.count) * fraction).rounded())
    guard kept > 0, kept < folder.count else {
      throw RecipeError(
        path, key: "data.validation_fraction",
        "leaves \(kept) of \(folder.count) samples for validation", remedy: "give both sides at least one")
    }
    return (
      Subset(base: folder, indices: order[kept...].sorted()),
      Subset(base: folder, indices: order[..<kept].sorted())
    )
  }
}

/// What a class without data is called.
private func nameOfExtraClass(_ index: Int) -> String { "class \(index)" }

/// Refuses a folder whose classes are not those that a model knows, but for the last ones without data.
///
/// - Throws: ``RecipeError`` that lists the difference.
public func requireSameClasses(_ names: [String], of path: String, _ expected: [String]) throws {
  let extra = expected.indices.reversed().prefix { expected[$0] == nameOfExtraClass($0) }.count
  guard names != expected, names != expected.dropLast(extra) else { return }
  let missing = expected.filter { !names.contains($0) }
  let unknown = names.filter { !expected.contains($0) }
  func list(_ title: String, _ names: [String]) -> String? {
    guard !names.isEmpty else { return nil }
    return "\(title) " + names.prefix(10).joined(separator: ", ") + (names.count > 10 ? ", …" : "")
  }
  let lists = [list("missing:", missing), list("not known:", unknown)].compactMap(\.self)
  throw RecipeError(
    path, "has other classes than the model (\(lists.joined(separator: "; ")))",
    remedy: "give its folders the model's class names, in the same order")
}

extension Dataset {
  /// The same samples with names for more classes than they have.
  public func naming(_ classNames: [String]) -> any Dataset {
    classNames == self.classNames ? self : NamedDataset(base: self, classNames: classNames)
  }
}

/// The samples of a data set under another list of classes.
private struct NamedDataset: Dataset {
  let base: any Dataset
  let classNames: [String]

  var count: Int { base.count }
  func sample(at index: Int) throws -> (image: Image, label: Int) { try base.sample(at: index) }
}

/// Some samples of a data set.
private struct Subset: Dataset {
  let base: any Dataset
  let indices: [Int]

  var count: Int { indices.count }
  var classNames: [String] { base.classNames }
  func sample(at index: Int) throws -> (image: Image, label: Int) { try base.sample(at: indices[index]) }
}
