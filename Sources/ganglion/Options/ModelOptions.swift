public import ArgumentParser
import Backbones
import Data
import Downloads
import Foundation
import Layers
import Torch
public import Training

extension Architecture {
  /// The published names, for completions and errors.
  static var names: [String] { allCases.map(\.rawValue) }

  /// The architecture of a name that a person typed.
  static func named(_ name: String) throws -> Architecture {
    guard let architecture = Architecture(rawValue: name) else {
      throw ValidationError(
        "--model must be one of \(names.joined(separator: ", ")); got '\(printable(name))'.")
    }
    return architecture
  }
}

/// Which model is to be used, with which weights.
struct ModelOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("The best.safetensors or last.safetensors of a run.", valueName: "file"),
    completion: .file(extensions: ["safetensors"]))
  var checkpoint: String?

  @Option(
    help: ArgumentHelp(
      "A model of the catalog, with --pretrained, --weights or --random-weights; `ganglion models` lists them.",
      valueName: "name"),
    completion: .list(Architecture.names))
  var model: String?

  @Flag(help: "The weights of --model that its authors publish, fetched if they are not in the cache.")
  var pretrained = false

  @Option(
    help: ArgumentHelp("A file of weights of --model, as its authors publish them.", valueName: "file"),
    completion: .file(extensions: ["safetensors", "pth", "pt", "bin"]))
  var weights: String?

  @Option(
    help: ArgumentHelp(
      "Which dictionary of a PyTorch file holds the weights; by default the first of the usual names.",
      valueName: "path"))
  var key: String?

  @Option(
    help: ArgumentHelp(
      "The names of the classes of --weights, one a line; those of ImageNet-1K by default.",
      valueName: "file"),
    completion: .file())
  var classes: String?

  @Flag(help: "Use --model with freshly drawn weights: for timing, the classes mean nothing.")
  var randomWeights = false

  @Flag(help: "Run the model as it was trained, without folding and packing its weights for inference.")
  var plain = false

  @Option(
    help: ArgumentHelp(
      "The type of matrix products and convolutions; half-width ones are for GPUs.", valueName: "type"))
  var precision = Recipe.Precision.float32

  @OptionGroup var network: NetworkOptions

  func validate() throws {
    switch (checkpoint, model, [weights != nil, randomWeights, pretrained].count { $0 }) {
    case (.some, nil, 0), (nil, .some, 1): break
    case (nil, .some, 0):
      throw ValidationError(
        "--model has no weights: add --weights FILE or --random-weights, or --pretrained for its authors'.")
    default:
      throw ValidationError(
        "give either --checkpoint, or --model with --weights or --random-weights or --pretrained.")
    }
    if let model { _ = try Architecture.named(model) }
    if key != nil && weights == nil { throw ValidationError("--key is for --weights.") }
    if classes != nil && model == nil {
      throw ValidationError("--classes is for --model; a checkpoint has class names of its own.")
    }
  }

  /// What form of the model computes on a device, for people.
  func form(_ device: Device) -> String {
    guard plain || !Classifier.prepares(for: device, precision.castType) else {
      return device == .cpu
        ? "model prepared: \(PreparedModel.kernels)" : "model prepared, products in \(precision.rawValue)"
    }
    return "model as it was trained" + (precision.castType.map { ", products in \($0)" } ?? "")
  }

  /// Sees to it that the authors' weights are in the cache, if they are asked for.
  ///
  /// - Throws: an error that names the file.
  func fetchWeights() async throws {
    if pretrained, let model { _ = try await network.fetch(Architecture.named(model)) }
  }

  /// Makes the model, ready for inference; nothing else in the tool does. Authors' weights were fetched before.
  ///
  /// - Parameter device: where it is to run.
  /// - Returns: the classifier and, of a training run's checkpoint, the recipe.
  /// - Throws: an error that names the file.
  func makeClassifier(on device: Device) throws -> (classifier: Classifier, recipe: Recipe?) {
    do {
      if let checkpoint {
        let file = try Checkpoint(contentsOf: location(checkpoint))
        return (classifier(try file.makeModel(device: device), file.input, file.classNames), file.recipe)
      }
      return (try catalogClassifier(device), nil)
    } catch let mismatch as ParameterMismatch {
      throw InputError(mismatch)
    }
  }

  private func classifier(_ made: Model, _ input: InputPreparation, _ names: [String]) -> Classifier {
    plain
      ? Classifier(
        made.backbone, input: input, classNames: names, device: made.store.device,
        precision: precision.castType)
      : Classifier(made, input: input, classNames: names, precision: precision.castType)
  }

  private func catalogClassifier(_ device: Device) throws -> Classifier {
    let architecture = try Architecture.named(model ?? "")
    let names = try classes.map(classNames) ?? ImageNet.classNames
    let file = try weightsFile(of: architecture)
    let built = architecture.makeModel(head: .classifier(classes: names.count), device: device)
    if let file {
      try load(file, into: built, names.count)
    } else {
      say("the weights are random: the classes below mean nothing")
    }
    return classifier(built, InputPreparation(architecture.input), names)
  }

  /// The weights that are asked for; `nil` for random ones.
  private func weightsFile(of architecture: Architecture) throws -> StateDictionary? {
    guard pretrained else {
      return try weights.map { try StateDictionary(contentsOf: location($0), selecting: key) }
    }
    let published = try architecture.publishedWeights()
    return try StateDictionary(
      contentsOf: network.downloader.cache.location(of: published), publishedAs: published)
  }

  private func load(_ file: StateDictionary, into built: Model, _ count: Int) throws {
    do {
      let tensors = Dictionary(try file.tensors().map { ($0.key, $0.tensor) }) { $1 }
      sayTranslation(try built.store.load(tensors, from: file.path), of: file.path)
    } catch let mismatch as ParameterMismatch {
      guard let found = mismatch.classCount(insteadOf: count) else { throw mismatch }
      let names = classes.map { "\(printable($0)) names" } ?? "ImageNet-1K has"
      throw InputError(
        file.path, "the weights are for \(found) classes, and \(names) \(count)",
        remedy: "give the names of all \(found) with --classes, one a line")
    }
  }

  private func classNames(_ path: String) throws -> [String] {
    var names = try TextLines.read(path, separator: "\n")
    while names.last?.isEmpty == true { names.removeLast() }
    guard !names.isEmpty else {
      throw InputError(path, "holds no class names", remedy: "write one name a line")
    }
    if let blank = names.firstIndex(of: "") {
      throw InputError(path, "line \(blank + 1) is empty", remedy: "write one name a line")
    }
    return names
  }
}

extension ParameterMismatch {
  /// The number of classes that tensors are for, if it is all that keeps them from a model of `expected` classes.
  fileprivate func classCount(insteadOf expected: Int) -> Int? {
    let found = Set(misshaped.compactMap(\.got.first))
    let differsInRowsOnly = misshaped.allSatisfy {
      $0.expected.first == expected && $0.expected.dropFirst() == $0.got.dropFirst()
    }
    return missing.isEmpty && unexpected.isEmpty && differsInRowsOnly && found.count == 1 ? found.first : nil
  }
}

extension Recipe.Precision: ExpressibleByArgument {}
