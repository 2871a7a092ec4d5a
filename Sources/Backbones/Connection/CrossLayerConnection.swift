/// The sparse cross-layer connection of a stage: which layers are ganglion layers, what they see and how they see it.
///
/// A value of its own, independent of the token mixer that it is put around. Lou, Fu & Yu, "SparX" (2409.09649),
/// section 3.1: the stride S places ganglion layers, the window M limits how many earlier ganglion layers one sees.
public struct CrossLayerConnection: Hashable, Sendable {
  /// Where the ganglion layers of a stage are.
  public enum Placement: Hashable, Sendable {
    /// Nowhere: a plain stage (PlainNet).
    case none
    /// Every `stride` layers counted back from the last one, not before layer `first`.
    case every(stride: Int, from: Int = 0)
  }

  /// How far back a ganglion layer looks.
  public enum Reach: Hashable, Sendable {
    /// At the layers since the previous ganglion layer, and at the last `window` ganglion layers before that
    /// (`nil`: all of them).
    case sparse(window: Int?)
    /// At all earlier layers of the stage (DenseNet's rule; the paper's DGC, and DSN with stride 1).
    case dense
  }

  /// What the map that enters a stage counts as.
  public enum StageInput: Hashable, Sendable {
    /// An ordinary layer before the first: seen by the first ganglion layer only. What the authors publish.
    case ordinary
    /// An earlier ganglion layer: seen as long as the window holds it.
    case ganglion
    /// Not seen.
    case unseen
  }

  /// Where the ganglion layers are.
  public var placement: Placement
  /// How far back they look.
  public var reach: Reach
  /// What the stage's input counts as.
  public var stageInput: StageInput
  /// How a ganglion layer joins what it sees with its own features.
  public var aggregator: Aggregator

  /// A connection of these rules.
  public init(
    _ placement: Placement, reach: Reach = .sparse(window: nil), stageInput: StageInput = .ordinary,
    aggregator: Aggregator
  ) {
    self.placement = placement
    self.reach = reach
    self.stageInput = stageInput
    self.aggregator = aggregator
  }

  /// A stage of ordinary layers.
  public static let none = CrossLayerConnection(.none, aggregator: .concatenation)

  /// Which layers of a stage of `depth` layers see which.
  ///
  /// - Parameters:
  ///   - depth: the number of layers.
  ///   - hasInput: whether the stage has an input to look at: a first stage has none but the image.
  /// - Returns: the wiring.
  public func wiring(depth: Int, hasInput: Bool) -> Wiring {
    Wiring(self, depth: depth, hasInput: hasInput)
  }

  func ganglionLayers(depth: Int) -> [Int] {
    switch placement {
    case .none: return []
    case .every(let stride, let first):
      if stride < 1 { fatalError("CrossLayerConnection: the stride must be at least 1, got \(stride)") }
      return stride > 0
        ? Array(Swift.stride(from: depth - 1, through: Swift.max(0, first), by: -stride).reversed()) : []
    }
  }
}

/// Which layers of a stage see which, derived from a ``CrossLayerConnection``.
public struct Wiring: Hashable, Sendable {
  /// Something a ganglion layer sees.
  public enum Source: Hashable, Sendable, CustomStringConvertible {
    /// The map that enters the stage.
    case stageInput
    /// The output of a layer of the stage.
    case layer(Int)

    /// `input` or the layer's index.
    public var description: String {
      switch self {
      case .stageInput: "input"
      case .layer(let index): "\(index)"
      }
    }
  }

  /// For each layer what it sees besides its predecessor, in the order of concatenation; `nil` for an ordinary layer.
  public let sources: [[Source]?]
  /// How the ganglion layers join what they see with their own; `nil` where no layer sees anything.
  public let aggregator: Aggregator?

  init(_ connection: CrossLayerConnection, depth: Int, hasInput: Bool) {
    let ganglions = Set(connection.ganglionLayers(depth: depth))
    var sources: [[Source]?] = []
    var ordinary: [Source] = []  // since the last ganglion layer, oldest first
    var earlier: [Source] = []  // ganglion layers, oldest first
    if hasInput {
      switch connection.stageInput {
      case .ordinary: ordinary = [.stageInput]
      case .ganglion: earlier = [.stageInput]
      case .unseen: break
      }
    }
    for layer in 0..<depth {
      guard ganglions.contains(layer) else {
        sources.append(nil)
        ordinary.append(.layer(layer))
        continue
      }
      let seen: [Source]
      switch connection.reach {
      case .sparse(let window): seen = ordinary + earlier.suffix(window ?? earlier.count)
      case .dense: seen = earlier + ordinary
      }
      sources.append(seen)
      switch connection.reach {
      case .sparse:
        earlier.append(.layer(layer))
        ordinary = []
      case .dense:
        ordinary.append(.layer(layer))
      }
    }
    self.sources = sources
    aggregator = sources.contains { $0?.isEmpty == false } ? connection.aggregator : nil
  }

  /// The ganglion layers that see something.
  public var ganglionLayers: [Int] { sources.indices.filter { sources[$0] != nil } }

  /// One line for each layer: its kind and what it sees.
  public var diagram: String {
    sources.enumerated().map { index, seen in
      guard let seen else { return "  \(index)  ordinary" }
      return "  \(index)  ganglion ← " + seen.map(\.description).joined(separator: ", ")
    }.joined(separator: "\n")
  }
}
