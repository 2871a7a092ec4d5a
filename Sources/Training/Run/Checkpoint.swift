public import Backbones
public import Foundation
import Layers
public import Torch

/// A file of a trained model, which says by itself how to build and feed it, and, of a run that may go on, how.
///
/// A safetensors file: weights under their published keys; `average.<key>` for moving averages of weights;
/// `optimizer.first.<key>`, `.second.` and `.step.` for AdamW's state. Its metadata holds `format`, `recipe` (JSON),
/// `classes` (a JSON list), `preprocessing` (JSON) and `progress` (JSON).
public struct Checkpoint {
  /// The file.
  public let path: String
  /// The run's recipe.
  public let recipe: Recipe
  /// The names of the classes, in the order of the logits.
  public let classNames: [String]
  /// How pictures become inputs.
  public let input: InputPreparation
  /// How far the run had come.
  public let progress: Progress
  private let file: SafeTensors

  static let format = "ganglion.checkpoint.1"

  /// Opens a checkpoint; tensors are read when they are asked for.
  ///
  /// - Throws: `CheckpointError` if the file cannot be read or is no checkpoint of a training run, or
  ///   ``RecipeError`` if its recipe is not one that this version knows.
  public init(contentsOf url: URL) throws {
    path = url.path(percentEncoded: false)
    file = try SafeTensors.read(from: url)
    let kind = Self.format.dropLast()
    if let format = file.metadata["format"], format.hasPrefix(kind), format != Self.format {
      throw CheckpointError(
        path: path, problem: "has the format \(format.prefix(60)), and this version knows \(Self.format)",
        remedy: "read it with the version of ganglion that wrote it")
    }
    guard file.metadata["format"] == Self.format else {
      throw CheckpointError(
        path: path,
        problem: "is not a checkpoint of `ganglion train` (its metadata lack the format \(Self.format))",
        remedy: "give the best.safetensors or last.safetensors of a run")
    }
    recipe = try Recipe(yaml: Self.text(file, "recipe", path), source: "\(path): recipe")
    classNames = try Self.decoded(file, "classes", path)
    input = try Self.decoded(file, "preprocessing", path)
    progress = try Self.decoded(file, "progress", path)
    guard input.isValid, !classNames.isEmpty else { throw Self.broken(path, "preprocessing") }
  }

  private static func broken(_ path: String, _ key: String) -> CheckpointError {
    CheckpointError(
      path: path, problem: "its metadata's `\(key)` is missing or not as expected",
      remedy: "write the checkpoint again with this version")
  }

  private static func text(_ file: SafeTensors, _ key: String, _ path: String) throws -> String {
    guard let text = file.metadata[key] else { throw broken(path, key) }
    return text
  }

  private static func decoded<Value: Decodable>(_ file: SafeTensors, _ key: String, _ path: String) throws
    -> Value
  {
    do {
      return try JSONDecoder().decode(Value.self, from: Foundation.Data(text(file, key, path).utf8))
    } catch is DecodingError {
      throw broken(path, key)
    }
  }

  /// Builds the model with the weights to be used: the moving averages where the file has them.
  ///
  /// - Parameter device: where the parameters are to live.
  /// - Returns: the model, in evaluation mode.
  /// - Throws: `CheckpointError` or `ParameterMismatch` if the file lacks what the model needs.
  public func makeModel(device: Device = .cpu) throws -> Model {
    let model = recipe.makeModel(classes: classNames.count, device: device)
    let prefix = file.names.contains { $0.hasPrefix(Prefix.average) } ? Prefix.average : ""
    try load(model, prefix: prefix)
    return model
  }

  /// Copies the file's tensors under `prefix` into a model.
  func load(_ model: Model, prefix: String) throws {
    let names = file.names.filter { Self.isWeight($0, below: prefix) }
    let tensors = try names.map { (String($0.dropFirst(prefix.count)), try file.tensor($0)) }
    try model.store.load(Dictionary(uniqueKeysWithValues: tensors), from: path)
  }

  /// Whether a tensor of that name is a weight of the model below `prefix`.
  static func isWeight(_ name: String, below prefix: String) -> Bool {
    prefix.isEmpty ? !Prefix.all.contains(where: name.hasPrefix) : name.hasPrefix(prefix)
  }

  /// Copies the file's tensor into one of the same shape.
  func copy(_ name: String, into tensor: Tensor) throws {
    let value = try file.tensor(name)
    guard value.shape == tensor.shape, value.dtype == tensor.dtype else {
      throw CheckpointError(
        path: path, key: name, problem: "expected \(tensor.summary), got \(value.summary)",
        remedy: "resume from the run's own checkpoint")
    }
    withoutGradients { tensor.copy(from: value) }
  }

  /// What stands before the keys of tensors that are no weights.
  enum Prefix {
    static let average = "average."
    static let first = "optimizer.first."
    static let second = "optimizer.second."
    static let step = "optimizer.step."
    static let all = [average, first, second, step]
  }

  /// Writes a checkpoint; the file appears whole or not at all.
  static func write(
    _ tensors: [(String, Tensor)], recipe: Recipe, classNames: [String], progress: Progress, to url: URL
  ) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    func json(_ value: some Encodable) throws -> String {
      String(decoding: try encoder.encode(value), as: UTF8.self)
    }
    try SafeTensors.write(
      tensors,
      metadata: [
        "format": format, "recipe": try recipe.json(), "classes": try json(classNames),
        "preprocessing": try json(recipe.inputPreparation), "progress": try json(progress),
      ], to: url)
  }
}
