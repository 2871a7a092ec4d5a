public import Torch

/// All parameters and buffers of one model, by their published keys, in order of declaration.
///
/// Layers are values that hold handles into the store; the store is what is saved, loaded, counted and stepped.
public final class ParameterStore {
  /// Whether an entry is trained or only kept.
  public enum Kind: Hashable, Sendable {
    /// Trained by gradients.
    case parameter
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
    public let kind: Kind
    /// `false` for a deliberate exception from the recipe's weight decay.
    public let decays: Bool
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
  private var indices: [String: Int] = [:]

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
    mode = Mode(seed: seed)
  }

  /// The scope of the whole model.
  public var root: Scope { Scope(store: self, path: []) }

  /// The entry of a key.
  public subscript(_ key: String) -> Entry? { indices[key].map { entries[$0] } }

  /// The trained tensors, in order.
  public var parameters: [Tensor] { entries.filter { $0.kind == .parameter }.map(\.tensor) }

  /// The number of trained scalars.
  public var parameterCount: Int { parameters.reduce(0) { $0 + $1.count } }

  /// The trained tensors inside `scope`.
  public func parameters(in scope: Scope) -> [Tensor] {
    entries.filter { $0.kind == .parameter && $0.path.starts(with: scope.path) }.map(\.tensor)
  }

  /// Forgets all gradients.
  public func clearGradients() {
    for parameter in parameters { parameter.gradient = nil }
  }

  func declare(
    _ path: [String], _ shape: [Int], _ initializer: Initializer, kind: Kind, dtype: DType?, decays: Bool
  ) -> Tensor {
    let key = path.joined(separator: ".")
    if indices[key] != nil { fatalError("the parameter key `\(key)` is declared twice") }
    let type = dtype ?? self.dtype
    // Without elements there is nothing to draw.
    let tensor =
      device == .meta
      ? Tensor.zeros(shape, dtype: type, device: .meta)
      : initializer.tensor(shape, seed: seed, key: key, dtype: type).to(device: device)
    if kind == .parameter { tensor.requiringGradient() }
    indices[key] = entries.count
    entries.append(Entry(key: key, tensor: tensor, kind: kind, decays: decays, path: path))
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

  /// The place named `name` below this one; dots separate components.
  public subscript(_ name: String) -> Scope {
    Scope(store: store, path: path + name.split(separator: ".").map(String.init))
  }

  /// The place numbered `index` below this one.
  public subscript(_ index: Int) -> Scope { Scope(store: store, path: path + [String(index)]) }

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
    store.declare(path + [name], shape, initializer, kind: .parameter, dtype: nil, decays: decays)
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
    store.declare(path + [name], shape, initializer, kind: .buffer, dtype: dtype, decays: false)
  }
}
