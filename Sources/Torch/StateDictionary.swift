public import Foundation

/// The weights in a checkpoint file, read tensor by tensor, whatever the file's format.
///
/// The format is found by the file's bytes: safetensors, or what `torch.save` writes (`.pth`, `.pt`, `.pth.tar`), now or
/// before PyTorch 1.6. Files of strangers are safe to open: nothing in them is run, and memory and time are bounded by
/// their size. All tensors together may hold at most 16 times the file's bytes, or 1 MiB, so that a few stored elements
/// cannot be spread over endless memory.
public struct StateDictionary: Sendable {
  /// One tensor of the file.
  public struct Entry: Sendable, Equatable {
    /// The parameter's key.
    public let key: String
    /// The type of the elements.
    public let dtype: DType
    /// The sizes.
    public let shape: [Int]

    /// A description of a tensor.
    public init(key: String, dtype: DType, shape: [Int]) {
      self.key = key
      self.dtype = dtype
      self.shape = shape
    }

    /// The bytes of the elements.
    public var byteCount: Int { shape.reduce(dtype.byteCount, *) }
  }

  /// How a file is written.
  public enum Format: String, Sendable, Codable {
    /// A safetensors file.
    case safeTensors = "safetensors"
    /// The zip archive that `torch.save` writes.
    case pyTorch = "PyTorch"
    /// The row of pickles that `torch.save` wrote before PyTorch 1.6.
    case oldPyTorch = "PyTorch before 1.6"
  }

  /// Which of the dictionaries in a PyTorch file was chosen.
  public struct Selection: Sendable, Equatable {
    /// The keys that lead to the dictionary, joined by dots; empty for the outermost.
    public let path: String
    /// What stood in front of every key and was left out, such as `module.`; empty if nothing did.
    public let prefix: String
    /// The paths of all dictionaries with tensors.
    public let candidates: [String]
    /// What the dictionary holds besides tensors.
    public let others: [Item]
    /// What the outermost dictionary holds.
    public let contents: [Item]
  }

  /// Something in a PyTorch file.
  public struct Item: Sendable, Equatable, Codable {
    /// The key.
    public let key: String
    /// What it is, in a few words.
    public let kind: String
  }

  /// The file.
  public let path: String
  /// How the file is written.
  public let format: Format
  /// The tensors, in the file's order.
  public let entries: [Entry]
  /// The texts that the file carries about itself; none in PyTorch's formats.
  public let metadata: [String: String]
  /// Which dictionary of a PyTorch file the tensors are from; `nil` for a safetensors file, which is one.
  public let selection: Selection?
  /// Tensors that the dictionary has besides ``entries`` and that cannot be read, with what they are.
  public let unreadable: [Item]
  private let content: Content

  private enum Content {
    case safeTensors(SafeTensors)
    case pyTorch(PyTorchFile, [String: StoredTensor])
  }

  /// Opens a file and reads what it holds; the elements stay on disk until they are asked for.
  ///
  /// - Parameters:
  ///   - url: the file.
  ///   - path: for a PyTorch file, the keys that lead to the dictionary, joined by dots; empty for the outermost. If
  ///     absent, the first of `state_dict_ema`, `model_ema`, `state_dict`, `model` and the outermost that has tensors.
  /// - Throws: ``CheckpointError`` if the file cannot be opened, breaks a rule of its format or has no such dictionary.
  public init(contentsOf url: URL, selecting path: String? = nil) throws {
    try self.init(RandomAccessFile(url), selecting: path)
  }

  init(_ source: any ByteSource, selecting path: String?) throws {
    self.path = source.path
    if let container = try PyTorchFile.container(of: source) {
      let file = try PyTorchFile(source, container)
      let weights = try WeightSelection(file.graph, selecting: path, in: source)
      format = container == .zip ? .pyTorch : .oldPyTorch
      metadata = [:]
      selection = Selection(weights)
      entries = weights.tensors.compactMap { key, tensor in
        guard tensor.obstacle == nil, let dtype = tensor.element.dtype else { return nil }
        return Entry(key: key, dtype: dtype, shape: tensor.shape)
      }
      unreadable = weights.tensors.compactMap { key, tensor in
        tensor.obstacle.map { Item(key: key, kind: "\($0), \(tensor.shape)") }
      }
      content = .pyTorch(file, Dictionary(weights.tensors) { $1 })
    } else {
      try Self.checkKind(source)
      let file = try SafeTensors(source)
      guard path == nil else {
        throw CheckpointError(
          path: source.path, problem: "is a safetensors file, which holds one dictionary only",
          remedy: "leave out the choice of a dictionary")
      }
      format = .safeTensors
      metadata = file.metadata
      selection = nil
      entries = file.entries.map { Entry(key: $0.name, dtype: $0.dtype, shape: $0.shape) }
      unreadable = []
      content = .safeTensors(file)
    }
  }

  /// Refuses files that start like another kind than safetensors, in words that help more than a header's length does.
  private static func checkKind(_ source: any ByteSource) throws {
    let start = try source.bytes(0..<min(source.count, 263))
    func unknown(_ kind: String, _ remedy: String) -> CheckpointError {
      CheckpointError(path: source.path, problem: kind, remedy: remedy)
    }
    if start.count > 261, start[257...].starts(with: Array("ustar".utf8)) {
      throw unknown(
        "is a tar archive, the form of PyTorch before 0.2", "load and save it again with a later one")
    }
    guard start.count > 8, start[8] != UInt8(ascii: "{") else { return }
    if start.starts(with: Array("version https://git-lfs".utf8)) {
      throw unknown("is a pointer to a file in Git LFS", "fetch the file itself with `git lfs pull`")
    }
    if start[0] == 0x80, (2...5).contains(start[1]) {
      throw unknown(
        "is a pickle that torch.save did not write", "save the model's state_dict() with torch.save")
    }
    throw unknown(
      "is neither a safetensors file nor one written by torch.save", "give a file of one of these formats")
  }

  /// Reads the elements of one tensor.
  ///
  /// - Parameter key: the key of one of ``entries``.
  /// - Returns: a tensor on the CPU with memory of its own.
  /// - Throws: ``CheckpointError`` if there is no such tensor, its type is not one of ``DType``, or the file cannot be
  ///   read.
  public func tensor(_ key: String) throws -> Tensor {
    switch content {
    case .safeTensors(let file): return try file.tensor(key)
    case .pyTorch(let file, let tensors):
      guard let tensor = tensors[key] else {
        let sample = entries.prefix(3).map { "'\($0.key.prefix(100))'" }.joined(separator: ", ")
        throw CheckpointError(
          path: path, key: key, problem: "is not in the dictionary",
          remedy: "choose one of its \(entries.count), such as \(sample)")
      }
      guard tensor.obstacle == nil, let dtype = tensor.element.dtype else {
        throw CheckpointError(
          path: path, key: key, problem: tensor.obstacle ?? "cannot be read",
          remedy: "convert it to one of \(DType.allCases.map(\.name).joined(separator: ", ")) in PyTorch")
      }
      return try Tensor(reading: tensor.shape, dtype) { try file.read(tensor, into: $0) }
    }
  }

  /// Reads all tensors, in the file's order.
  ///
  /// - Throws: ``CheckpointError`` if the file cannot be read or has tensors of a type that is not one of ``DType``.
  public func tensors() throws -> [(key: String, tensor: Tensor)] {
    if let first = unreadable.first { _ = try tensor(first.key) }
    return try entries.map { ($0.key, try tensor($0.key)) }
  }
}

extension StateDictionary.Selection {
  fileprivate init(_ weights: WeightSelection) {
    path = weights.path
    prefix = weights.prefix
    candidates = weights.candidates
    others = weights.others.map { .init(key: $0.key, kind: $0.kind) }
    contents = weights.contents.map { .init(key: $0.key, kind: $0.kind) }
  }
}
