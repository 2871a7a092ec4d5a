import Analysis
import ArgumentParser
import Backbones
import Foundation
import Layers
import Torch
import Training

struct ConvertCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert",
    abstract: "Turn weights of PyTorch into safetensors and back.",
    discussion: """
      Reads a safetensors file or one written by torch.save, whichever it is, without running anything in it, and writes \
      the format that the new file's name asks for: .safetensors, or .pth or .pt. Values keep their bits unless --dtype \
      says otherwise. Of a run's checkpoint the weights to be used are taken: the averages where it has them. With --model, \
      tensors that authors once published under other names or in other shapes get those that the model has now.

      Examples:
        ganglion convert sparx_mamba_t.pth sparx_mamba_t.safetensors
        ganglion convert run.pth.tar w.safetensors --key model_ema --dtype bfloat16
        ganglion convert runs/demo/best.safetensors weights.pth
        ganglion convert vssmtiny.pth w.safetensors --model vanilla_vmamba_tiny
      """)

  @ArgumentParser.Argument(help: "The file to read.", completion: .file())
  var input: String

  @ArgumentParser.Argument(help: "The file to write: .safetensors, .pth or .pt.", completion: .file())
  var output: String

  @Option(
    help: ArgumentHelp(
      "Which dictionary of a PyTorch file to take, such as model_ema; by default the first of the usual names.",
      valueName: "path"))
  var key: String?

  @Option(
    help: ArgumentHelp(
      "Convert the floating-point tensors to float32, float16 or bfloat16.", valueName: "type"))
  var dtype: FloatType?

  @Option(
    help: ArgumentHelp("The catalog's model whose names and shapes older tensors get.", valueName: "name"),
    completion: .list(Architecture.names))
  var model: String?

  @Flag(help: "Replace the file to write if it is there.")
  var force = false

  @Flag(help: "Write what was done to standard output as JSON.")
  var json = false

  enum FloatType: String, ExpressibleByArgument, CaseIterable {
    case float32, float16, bfloat16

    var dtype: DType {
      switch self {
      case .float32: .float32
      case .float16: .float16
      case .bfloat16: .bfloat16
      }
    }
  }

  private enum Extension: String, CaseIterable {
    case safetensors, pth, pt
  }

  func validate() throws {
    guard Extension(rawValue: location(output).pathExtension) != nil else {
      throw ValidationError(
        "'\(output)' must end in .safetensors, .pth or .pt, which says how it is written.")
    }
    if let model { _ = try Architecture.named(model) }
  }

  func run() throws {
    if !force, FileManager.default.fileExists(atPath: output) {
      throw CheckpointError(
        path: output, problem: "is there already", remedy: "choose another name or add --force to replace it")
    }
    let source = try StateDictionary(contentsOf: location(input), selecting: key)
    let isArchive = Extension(rawValue: location(output).pathExtension) != .safetensors
    let store = try model.map { try Architecture.named($0).makeModel(device: .meta).store }
    var plan = Conversion(source, floatType: dtype?.dtype, keepsMetadata: !isArchive, for: store)
    let stop = StopSignal(finishing: "this tensor")
    do {
      try withTorchErrors { try plan.write(to: location(output)) { stop.number != nil } }
    } catch is CancellationError {
      say("stopped: \(output) was not written")
      throw ExitCode(128 + (stop.number ?? 0))
    }
    if json { try outputJSON(plan.report(input, output)) } else { say(plan.report(input, output).text) }
  }
}

/// What becomes of each tensor of a file.
private struct Conversion {
  private let source: StateDictionary
  private let weights: [(stored: String, entry: StateDictionary.Entry)]
  private let leftOut: [ConversionReport.Item]
  private let target: StateDictionary.Target
  private let translation: Translation
  private var overflowed: [String] = []

  init(_ source: StateDictionary, floatType: DType?, keepsMetadata: Bool, for store: ParameterStore?) {
    self.source = source
    let exported = Checkpoint.exportedWeights(of: source)
    let keys = exported.map { Dictionary($0.map { ($0.stored, $0.key) }) { $1 } }
    let kept = source.entries.compactMap { entry -> (stored: String, entry: StateDictionary.Entry)? in
      guard let key = keys.map({ $0[entry.key] }) ?? entry.key else { return nil }
      let dtype = floatType.flatMap { entry.dtype.isFloatingPoint ? $0 : nil } ?? entry.dtype
      return (entry.key, StateDictionary.Entry(key: key, dtype: dtype, shape: entry.shape))
    }
    let shapes = Dictionary(kept.map { ($0.entry.key, $0.entry.shape) }) { $1 }
    let translation = store?.translation(of: shapes) ?? .none
    weights = kept.map { stored, entry in
      let shape = translation.flattened.contains(entry.key) ? Array(entry.shape.prefix(2)) : entry.shape
      return (stored, .init(key: translation.key(entry.key), dtype: entry.dtype, shape: shape))
    }
    self.translation = translation
    // Readers of PyTorch's weights in safetensors ask for this text.
    let metadata = source.format == .safeTensors ? source.metadata : ["format": "pt"]
    target = keepsMetadata ? .safeTensors(metadata: metadata) : .pyTorch
    leftOut = Self.leftOut(source, keys.map { Set($0.keys) }, keepsMetadata)
  }

  private static func leftOut(
    _ source: StateDictionary, _ kept: Set<String>?, _ keepsMetadata: Bool
  ) -> [ConversionReport.Item] {
    var items: [ConversionReport.Item] = []
    if let kept {
      let rest = source.entries.filter { !kept.contains($0.key) }
      let (optimizer, plain) = (
        rest.count { $0.key.hasPrefix("optimizer.") }, rest.count { !$0.key.hasPrefix("optimizer.") }
      )
      if plain > 0 {
        items.append(.init(key: "the run's own weights", kind: "\(plain) tensors, since it has averages"))
      }
      if optimizer > 0 { items.append(.init(key: "the optimizer's state", kind: "\(optimizer) tensors")) }
    }
    if !keepsMetadata {
      let texts = source.metadata.keys.filter { $0 != "format" }
      items += texts.sorted().map { .init(key: $0, kind: "text of the file's metadata") }
    }
    guard let selection = source.selection else { return items }
    if !selection.path.isEmpty {
      let chosen = selection.path.split(separator: ".").first.map(String.init)
      items += selection.contents.filter { $0.key != selection.path && $0.key != chosen }.map {
        .init(key: $0.key, kind: $0.kind)
      }
    }
    let inside = selection.path.isEmpty ? "" : selection.path + "."
    return items + selection.others.map { .init(key: inside + $0.key, kind: $0.kind) }
  }

  mutating func write(to url: URL, isInterrupted: () -> Bool) throws {
    if let first = source.unreadable.first { _ = try source.tensor(first.key) }
    let stored = Dictionary(weights.map { ($0.entry.key, $0.stored) }) { $1 }
    var overflowed: [String] = []
    try StateDictionary.write(weights.map(\.entry), as: target, to: url) { entry in
      if isInterrupted() { throw CancellationError() }
      let tensor = try source.tensor(stored[entry.key] ?? entry.key).reshape(entry.shape)
      if tensor.dtype == entry.dtype { return tensor }
      let converted = tensor.to(entry.dtype)
      if (tensor.isFinite() .& !converted.isFinite()).any().item() != 0 { overflowed.append(entry.key) }
      return converted
    }
    self.overflowed = overflowed
  }

  func report(_ input: String, _ output: String) -> ConversionReport {
    ConversionReport(
      input: input, inputFormat: source.format.rawValue, output: output, key: source.selection?.path,
      strippedPrefix: source.selection?.prefix, tensors: weights.count,
      bytes: weights.reduce(0) { $0 + $1.entry.byteCount },
      renamed: translation.renamed.map { .init(from: $0.old, to: $0.new) },
      flattened: translation.flattened, translation: translation.description, leftOut: leftOut,
      overflowed: overflowed)
  }
}

/// What a conversion did.
private struct ConversionReport: Encodable {
  let input: String
  let inputFormat: String
  let output: String
  let key: String?
  let strippedPrefix: String?
  let tensors: Int
  let bytes: Int
  let renamed: [Renaming]
  let flattened: [String]
  /// The two in words.
  let translation: String
  let leftOut: [Item]
  let overflowed: [String]

  struct Renaming: Encodable {
    let from: String
    let to: String
  }

  struct Item: Encodable {
    let key: String
    let kind: String
  }

  /// The report for people.
  var text: String {
    var lines = ["\(tensors) tensors, \(Quantity.bytes(bytes)), from \(input) (\(inputFormat)) to \(output)"]
    if let key, !key.isEmpty { lines.append("taken: \(key)") }
    if let strippedPrefix, !strippedPrefix.isEmpty {
      lines.append("'\(strippedPrefix)' is left out of every key")
    }
    if !translation.isEmpty { lines.append("tensors read: \(translation)") }
    lines += leftOut.map { "left out: \($0.key.prefix(160)) (\($0.kind))" }
    lines += overflowed.map {
      "warning: \($0.prefix(160)) has values too large for the new type, infinite now"
    }
    return lines.map(\.withoutControlCharacters).joined(separator: "\n")
  }
}
