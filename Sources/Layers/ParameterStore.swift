public import Torch

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// All parameters and buffers of one model, by their published keys, in order of declaration.
///
/// Layers are values that hold handles into the store; the store is what is saved, loaded, counted and stepped.
public final class ParameterStore {
  /// Whether an entry is trained or only kept.
  public enum Kind: Hashable, Sendable {
    /// Trained by gradients.
    case parameter
    /// A parameter that ``ParameterStore/freeze(_:)`` keeps as it is.
    case frozen
    /// Kept with the model but not trained, such as running statistics.
    case buffer
  }

  /// One tensor of the model.
  public struct Entry {
    /// The published key, for example `layers.0.blocks.1.norm.weight`.
    public let key: String
    /// The handle that the layers share.
    public let tensor: Tensor
    /// Trained or kept.
    public fileprivate(set) var kind: Kind
    /// `false` for a deliberate exception from the recipe's weight decay.
    public let decays: Bool
    /// How it takes values of another shape; `nil` for not at all.
    public fileprivate(set) var adaptation: Adaptation?
    /// Where it stands in the order of computation.
    public let place: LayerPlace
    /// Whether the matrix `[O, I]` may come as a convolution `[O, I, 1, 1]`, by ``Scope/takesConvolution(_:)``.
    fileprivate(set) var takesConvolution = false
    fileprivate let path: [String]
  }

  /// Every entry, in order of declaration.
  public private(set) var entries: [Entry] = []
  /// What the layers need to know of the run.
  public let mode: Mode
  /// The type of new floating-point tensors.
  public let dtype: DType
  /// The device of new tensors.
  public let device: Device
  private let seed: UInt64
  /// The store that a prepared model's layers read.
  private let source: ParameterStore?
  /// What is taken over from another model, by key.
  private let shared: [String: Entry]
  private var indices: [String: Int] = [:]
  /// Keys of published files that hold nothing of their own, by ``Scope/derives(_:)``.
  private(set) var derivedKeys: Set<String> = []
  /// What older files call otherwise, by ``Scope/renames(_:to:)``.
  private(set) var renamings: [Renaming] = []

  /// An empty store.
  ///
  /// - Parameters:
  ///   - seed: what random initial values are drawn from, together with each key.
  ///   - dtype: the type of new floating-point tensors.
  ///   - device: the device of new tensors.
  public init(seed: UInt64 = 0, dtype: DType = .float32, device: Device = .cpu) {
    self.seed = seed
    self.dtype = dtype
    self.device = device
    source = nil
    shared = [:]
    mode = Mode(seed: seed)
  }

  /// A store that declares nothing of its own: layers made with it find the tensors of `source` under the same keys, and
  /// fold and pack them for inference.
  ///
  /// It stays empty: what the layers make of the tensors is theirs, cannot be saved, and has no gradient.
  ///
  /// - Parameters:
  ///   - source: the store of the model to prepare.
  ///   - dtype: the type that the layers compute in; that of the parameters if absent.
  public init(preparing source: ParameterStore, dtype: DType? = nil) {
    seed = source.seed
    self.dtype = source.dtype
    device = source.device
    self.source = source
    shared = [:]
    mode = Mode(seed: source.seed, isPrepared: true, dtype: dtype)
  }

  /// A store for the model of `source` with another head: tensors that `source` has under the same key are shared with
  /// it, frozen ones stay frozen, and those whose size is the number of classes are drawn anew, as new ones are.
  ///
  /// - Parameters:
  ///   - source: the store of the model.
  ///   - seed: what new values are drawn from, together with each key.
  public init(replacingHeadOf source: ParameterStore, seed: UInt64) {
    self.seed = seed
    dtype = source.dtype
    device = source.device
    self.source = nil
    let kept = source.entries.filter { $0.adaptation != .classes }
    shared = Dictionary(uniqueKeysWithValues: kept.map { ($0.key, $0) })
    mode = Mode(seed: source.mode.seed)
    (mode.isTraining, mode.usesCheckpointing) = (source.mode.isTraining, source.mode.usesCheckpointing)
    mode.step = source.mode.step
  }

  /// The scope of the whole model.
  public var root: Scope { Scope(store: self, path: [], place: .stem) }

  /// The entry of a key.
  public subscript(_ key: String) -> Entry? { indices[key].map { entries[$0] } }

  /// The trained tensors, in order.
  public var parameters: [Tensor] { entries.filter { $0.kind == .parameter }.map(\.tensor) }

  /// The number of trained scalars.
  public var parameterCount: Int { count(.parameter) }

  /// The number of scalars of frozen parameters.
  public var frozenCount: Int { count(.frozen) }

  private func count(_ kind: Kind) -> Int {
    entries.reduce(0) { $0 + ($1.kind == kind ? $1.tensor.count : 0) }
  }

  /// The trained tensors inside `scope`.
  public func parameters(in scope: Scope) -> [Tensor] {
    entries.filter { $0.kind == .parameter && $0.path.starts(with: scope.path) }.map(\.tensor)
  }

  /// Forgets all gradients.
  public func clearGradients() {
    for parameter in parameters { parameter.gradient = nil }
  }

  /// Stops the training of the parameters whose keys match a pattern, for example `layers.0.*`.
  ///
  /// They need no gradient, are not among ``parameters`` and so get no optimizer's state and no weight decay. A
  /// batch normalisation that is frozen as a whole normalises by its running statistics and leaves them alone.
  ///
  /// - Parameter pattern: a key in which `*` stands for any text, dots included, and `?` for one character.
  /// - Returns: the keys that match, those that were frozen before included.
  @discardableResult
  public func freeze(_ pattern: String) -> [String] {
    let found = entries.indices.filter {
      entries[$0].kind != .buffer && fnmatch(pattern, entries[$0].key, 0) == 0
    }
    for index in found {
      entries[index].kind = .frozen
      entries[index].tensor.requiringGradient(false).gradient = nil
    }
    return found.map { entries[$0].key }
  }

  fileprivate func adapt(_ key: String, as adaptation: Adaptation) {
    if source != nil { return }
    guard let index = indices[key] else { fatalError("the parameter key `\(key)` is not declared") }
    entries[index].adaptation = adaptation
  }

  fileprivate func takeConvolution(_ key: String) {
    if source != nil { return }
    guard let index = indices[key] else { fatalError("the parameter key `\(key)` is not declared") }
    entries[index].takesConvolution = true
  }

  fileprivate func derive(_ key: String) { derivedKeys.insert(key) }

  fileprivate func rename(_ renaming: Renaming) { renamings.append(renaming) }

  fileprivate func declare(
    _ name: String, in scope: Scope, _ shape: [Int], _ initializer: Initializer, kind: Kind, dtype: DType?,
    decays: Bool
  ) -> Tensor {
    let path = scope.path + [name]
    let key = path.joined(separator: ".")
    if let source {
      guard let entry = source[key], entry.tensor.shape == shape else {
        fatalError("a prepared model needs `\(key)` \(shape) of the model that it is prepared from")
      }
      // A copy: what is not packed into another order must not change with the original.
      return entry.tensor.detached().clone()
    }
    if indices[key] != nil { fatalError("the parameter key `\(key)` is declared twice") }
    indices[key] = entries.count
    if let entry = shared[key] {
      if entry.tensor.shape != shape {
        fatalError("the head to be replaced has `\(key)` \(entry.tensor.shape), and the new one \(shape)")
      }
      entries.append(entry)
      return entry.tensor
    }
    let type = dtype ?? self.dtype
    // Without elements there is nothing to draw.
    let tensor =
      device == .meta
      ? Tensor.zeros(shape, dtype: type, device: .meta)
      : initializer.tensor(shape, seed: seed, key: key, dtype: type).to(device: device)
    if kind == .parameter { tensor.requiringGradient() }
    entries.append(
      Entry(
        key: key, tensor: tensor, kind: kind, decays: decays, adaptation: nil, place: scope.place, path: path)
    )
    return tensor
  }
}

/// A place in a model's tree of parameters: a store and a path.
///
/// Asking a scope for a parameter creates and names it; the path is the key under which authors publish it.
public struct Scope {
  /// The store that the parameters go to.
  public let store: ParameterStore
  /// The components of the path.
  public let path: [String]
  /// Where the parameters declared here and below stand in the order of computation.
  public let place: LayerPlace

  /// The place named `name` below this one; dots separate components.
  public subscript(_ name: String) -> Scope {
    Scope(store: store, path: path + name.split(separator: ".").map(String.init), place: place)
  }

  /// The place numbered `index` below this one.
  public subscript(_ index: Int) -> Scope {
    Scope(store: store, path: path + [String(index)], place: place)
  }

  /// The same place, for what a stage consists of; what precedes its blocks counts as a part of the first.
  public func inStage(_ stage: Int) -> Scope {
    Scope(store: store, path: path, place: .block(stage: stage, index: 0))
  }

  /// The same place, for block `index` of the stage, or of the whole network if it has no stages.
  public func inBlock(_ index: Int) -> Scope {
    guard case .block(let stage, _) = place else { return inStage(0).inBlock(index) }
    return Scope(store: store, path: path, place: .block(stage: stage, index: index))
  }

  /// The same place, for what follows the last block.
  public var afterBlocks: Scope { Scope(store: store, path: path, place: .head) }

  /// The path as a key.
  public var key: String { path.joined(separator: ".") }

  /// What the layers need to know of the run.
  public var mode: Mode { store.mode }

  /// Creates a trained tensor here.
  ///
  /// - Parameters:
  ///   - name: the last component of the key; declaring a key twice traps.
  ///   - shape: the sizes.
  ///   - initializer: how it starts.
  ///   - decays: `false` for a deliberate exception from the recipe's weight decay.
  /// - Returns: the handle, to be kept by the layer.
  public func parameter(
    _ name: String, _ shape: [Int], _ initializer: Initializer, decays: Bool = true
  ) -> Tensor {
    store.declare(name, in: self, shape, initializer, kind: .parameter, dtype: nil, decays: decays)
  }

  /// Says how the parameter `name` declared here takes a value of another shape from a related model's checkpoint.
  ///
  /// - Parameters:
  ///   - name: the last component of its key; one that is not declared traps.
  ///   - adaptation: what its sizes mean.
  public func adapts(_ name: String, as adaptation: Adaptation) {
    store.adapt((path + [name]).joined(separator: "."), as: adaptation)
  }

  /// Says that published files may hold a tensor `name` here that follows from the configuration; loading skips it.
  public func derives(_ name: String) { store.derive((path + [name]).joined(separator: ".")) }

  /// Says that older files of the authors have what is called `new` here under the name `old`; loading renames it.
  ///
  /// - Parameters:
  ///   - old: the older name, relative to this place; dots separate components.
  ///   - new: the name of a tensor or a place of tensors, relative to this place.
  public func renames(_ old: String, to new: String) {
    store.rename(.init(old: self[old].path, new: self[new].path, rule: "\(old) is \(new)"))
  }

  /// Says that the matrix `name` declared here, `[O, I]`, may come as the weight `[O, I, 1, 1]` of a convolution.
  public func takesConvolution(_ name: String) {
    store.takeConvolution((path + [name]).joined(separator: "."))
  }

  /// Creates a trained table of positions `[1, tokens, C]` here, which is resized when a checkpoint has another grid.
  ///
  /// - Parameters:
  ///   - name: the last component of the key; declaring a key twice traps.
  ///   - grid: the positions and other tokens.
  ///   - channels: C.
  ///   - initializer: how it starts.
  ///   - decays: `false` for a deliberate exception from the recipe's weight decay.
  /// - Returns: the handle, to be kept by the layer.
  public func positionTable(
    _ name: String, _ grid: PositionGrid, channels: Int,
    _ initializer: Initializer = .truncatedNormal(deviation: 0.02), decays: Bool = true
  ) -> Tensor {
    let table = parameter(name, [1, grid.tokenCount, channels], initializer, decays: decays)
    adapts(name, as: .positions(grid))
    return table
  }

  /// Creates a trained Swin bias `[(2h-1)(2w-1), heads]` of a window here, which is resized when a checkpoint has
  /// another window.
  ///
  /// - Parameters:
  ///   - name: the last component of the key; declaring a key twice traps.
  ///   - height: rows of the window.
  ///   - width: positions of a row.
  ///   - heads: the attention's heads.
  ///   - initializer: how it starts.
  ///   - decays: `false` for a deliberate exception from the recipe's weight decay.
  /// - Returns: the handle, to be kept by the layer.
  public func relativePositionTable(
    _ name: String, height: Int, width: Int, heads: Int,
    _ initializer: Initializer = .truncatedNormal(deviation: 0.02), decays: Bool = true
  ) -> Tensor {
    let table = parameter(name, [(2 * height - 1) * (2 * width - 1), heads], initializer, decays: decays)
    adapts(name, as: .relativePositions(height: height, width: width))
    return table
  }

  /// Creates a tensor here that is saved but not trained.
  ///
  /// - Parameters:
  ///   - name: the last component of the key; declaring a key twice traps.
  ///   - shape: the sizes.
  ///   - initializer: how it starts.
  ///   - dtype: the type of the elements; the store's if absent.
  /// - Returns: the handle, to be kept by the layer.
  public func buffer(_ name: String, _ shape: [Int], _ initializer: Initializer, dtype: DType? = nil)
    -> Tensor
  {
    store.declare(name, in: self, shape, initializer, kind: .buffer, dtype: dtype, decays: false)
  }
}
