import Layers
import Torch

extension ParameterStore {
  /// Whether the published rule lets a parameter decay: two or more dimensions, no `.bias`, and no exception of the
  /// layer's.
  ///
  /// So `A_logs` and the 2-D biases of time steps do decay, as in the authors' runs.
  static func decays(_ entry: Entry) -> Bool {
    entry.decays && entry.tensor.rank > 1 && !entry.key.hasSuffix(".bias")
  }

  /// The trained entries in two groups: those that decay, then those that do not.
  func decayGroups() -> (decaying: [Entry], others: [Entry]) {
    let trained = entries.filter { $0.kind == .parameter }
    return (trained.filter(Self.decays), trained.filter { !Self.decays($0) })
  }

  /// The trained entries in groups that the optimizer steps alike: those that decay before those that do not, and within
  /// both by the factor of their learning rate, deep before shallow.
  func optimizerGroups(_ optimizer: Recipe.Optimizer) -> [(entries: [Entry], parameters: ParameterGroup)] {
    let (decaying, others) = decayGroups()
    let layers = layerGroups
    func scale(_ entry: Entry) -> Double {
      layers.learningRateScale(of: layers[entry.key] ?? layers.count - 1, decay: optimizer.layerDecay)
    }
    return [(decaying, optimizer.weightDecay), (others, 0)].flatMap { entries, decay in
      Dictionary(grouping: entries, by: scale).sorted { $0.key > $1.key }.map { scale, entries in
        let tensors = entries.map(\.tensor)
        return (entries, ParameterGroup(tensors, weightDecay: decay, learningRateScale: scale))
      }
    }
  }
}
