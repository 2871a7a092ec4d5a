/// The ablations of SparX-Mamba, Lou, Fu & Yu (2409.09649), section 4.4: SparX-Mamba-T but for what each one names.
///
/// The authors publish neither code nor weights of them.
/// - Note: S and M are stage 3's, as in the paper's table 1. Ganglion layers in the other stages stay where T has them.
/// - Note: Stage 3 of T has 7 layers and, with S = 2, 3 ganglion layers before its last one, so M = 4 takes nothing away
///   that M = 3 keeps: with the wiring of the published code both are the same network.
extension CatalogEntry {
  // Table 5.

  static var sparxMambaTinyDenseGanglion: CatalogEntry {
    ablation { $0.connectGanglionLayers { $0.reach = .dense } }
  }

  static var sparxMambaTinyDenseNetStyle: CatalogEntry {
    ablation {
      $0.stages[2].connection.placement = .every(stride: 1)
      $0.connectGanglionLayers { $0.reach = .dense }
    }
  }

  // Table 6.

  static var sparxMambaTinyConcatenation: CatalogEntry {
    ablation { $0.aggregate { _ in .concatenation } }
  }

  static var sparxMambaTinyWithoutAttention: CatalogEntry {
    ablation { $0.aggregate { _ in .queryAndValue } }
  }

  static var sparxMambaTinySpatialReduction: CatalogEntry {
    ablation { $0.aggregate { .spatialAttention(.init(reductions: [$0.reduction])) } }
  }

  // The scales are ours: the reduction of each stage and twice it.
  static var sparxMambaTinyCrossScale: CatalogEntry {
    ablation { $0.aggregate { .spatialAttention(.init(reductions: [$0.reduction, 2 * $0.reduction])) } }
  }

  static var sparxMambaTinySpatialCross: CatalogEntry {
    ablation { $0.aggregate { _ in .spatialCrossAttention() } }
  }

  // Table 7.

  static var sparxMambaTinyPlain: CatalogEntry {
    ablation {
      $0.connectGanglionLayers { $0 = .none }
      $0.widths = [96, 192, 384, 576]
    }
  }

  static var sparxMambaTinyStride1: CatalogEntry { ablation(stride: 1) }
  static var sparxMambaTinyStride3: CatalogEntry { ablation(stride: 3) }
  static var sparxMambaTinyStride4: CatalogEntry { ablation(stride: 4) }
  static var sparxMambaTinyWindow2: CatalogEntry { ablation(window: 2) }
  static var sparxMambaTinyWindow4: CatalogEntry { ablation(window: 4) }

  // Table 8.

  static var sparxMambaTinyWithoutPositionEncoding: CatalogEntry {
    ablation { $0.hasPositionEncoding = false }
  }

  static var sparxMambaTinyWithoutShortcut: CatalogEntry {
    ablation {
      $0.aggregate {
        var aggregator = $0
        aggregator.shortcut = .none
        return .dynamicChannels(aggregator)
      }
    }
  }

  static var sparxMambaTinyWithoutReduction: CatalogEntry {
    ablation { $0.aggregate { _ in .dynamicChannels(.init(reduction: 1)) } }
  }

  private static func ablation(stride: Int) -> CatalogEntry {
    ablation { $0.stages[2].connection.placement = .every(stride: stride) }
  }

  private static func ablation(window: Int) -> CatalogEntry {
    ablation { $0.stages[2].connection.reach = .sparse(window: window) }
  }

  /// SparX-Mamba-T after a change of its configuration, which has no published weights.
  private static func ablation(_ change: (inout SparX.Configuration) -> Void) -> CatalogEntry {
    let baseline = CatalogEntry.sparxMambaTiny
    guard var configuration = baseline.configuration as? SparX.Configuration else {
      fatalError("SparX-Mamba-T is a SparX, got \(type(of: baseline.configuration))")
    }
    change(&configuration)
    return CatalogEntry(
      configuration: configuration, input: baseline.input,
      publication: Publication(paper: "2409.09649", weights: nil, top1: nil, reported: nil))
  }
}

extension SparX.Configuration {
  /// Changes the connection of every stage that has ganglion layers.
  fileprivate mutating func connectGanglionLayers(_ change: (inout CrossLayerConnection) -> Void) {
    for index in stages.indices where stages[index].connection.placement != .none {
      change(&stages[index].connection)
    }
  }

  /// Replaces every DMCA by what is made of it.
  fileprivate mutating func aggregate(
    _ replacement: (DynamicChannelAggregator.Configuration) -> Aggregator
  ) {
    connectGanglionLayers { connection in
      if case .dynamicChannels(let published) = connection.aggregator {
        connection.aggregator = replacement(published)
      }
    }
  }
}
