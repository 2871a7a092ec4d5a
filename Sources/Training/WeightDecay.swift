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
}
