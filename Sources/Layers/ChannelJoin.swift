public import Torch

/// Maps of one size joined along channels.
public struct ChannelJoin {
  private let isPrepared: Bool

  /// A join for the model of `scope`; it has no parameters.
  public init(_ scope: Scope) { isPrepared = scope.mode.isPrepared }

  /// The map `[B, C₁ + C₂ + …, H, W]` of maps `[B, C₁, H, W]`, `[B, C₂, H, W]`, …
  public func callAsFunction(_ maps: [Tensor]) -> Tensor {
    if maps.count == 1 { return maps[0] }
    if maps[0].device.isCUDA { return .join(maps) }
    return isPrepared && maps.allSatisfy(hasMapKernels) ? .mapJoin(maps) : concatenate(maps, along: 1)
  }
}

/// Maps joined along channels, whose channels are then dealt out to groups in turn: channel shuffle.
///
/// Zhang et al., "ShuffleNet" (1707.01083), section 3.1: channel i of the joined map goes to group i mod G.
public struct ShuffledJoin {
  /// The join without the shuffle.
  public let plain: ChannelJoin
  private let parts: Int
  private let order: Tensor?

  /// A join of maps with `channels` in all, dealt out to `parts` groups.
  public init(_ scope: Scope, channels: Int, parts: Int) {
    plain = ChannelJoin(scope)
    self.parts = parts
    let each = channels / parts
    let sources = (0..<channels).map { Int32($0 % each * parts + $0 / each) }
    let device = scope.store.device
    order =
      scope.mode.isPrepared || device.isCUDA ? Tensor(sources, [channels]).to(device: device) : nil
  }

  /// The shuffled map `[B, C, H, W]` of maps with C channels in all.
  public func callAsFunction(_ maps: [Tensor]) -> Tensor {
    if let order, maps[0].device.isCUDA { return .join(maps, order: order) }
    if let order, maps.allSatisfy(hasMapKernels) { return .mapJoin(maps, order: order) }
    let joined = plain(maps)
    let (B, C, H, W) = joined.shape4
    return joined.reshape(B, C / parts, parts, H, W).transpose(1, 2).reshape(B, C, H, W)
  }
}
