public import Torch

/// The tokens of an image: a grid of positions, row by row, and tokens that are no position, such as a class token.
///
/// Letters: B batch, C channels, n positions.
public struct PositionGrid: Hashable, Sendable {
  /// The tokens that are no position of the grid.
  public enum Extra: Hashable, Sendable {
    /// None.
    case none
    /// That many before the grid's first.
    case leading(Int)
    /// One before position n/2 of n, as Vision Mamba (Zhu et al., 2401.09417) places its class token.
    case middle
    /// One before the grid's first and one after its last.
    case ends
  }

  /// Rows of positions.
  public let height: Int
  /// Positions of a row.
  public let width: Int
  /// The other tokens.
  public let extra: Extra

  /// A grid of `height` by `width` positions and other tokens.
  public init(height: Int, width: Int, extra: Extra = .none) {
    self.height = height
    self.width = width
    self.extra = extra
  }

  /// The number of tokens.
  public var tokenCount: Int { height * width + extraCount }

  var extraCount: Int { runs.reduce(0) { $0 + ($1.isExtra ? $1.count : 0) } }

  /// How many tokens of either kind follow each other.
  private var runs: [(isExtra: Bool, count: Int)] {
    let n = height * width
    let runs =
      switch extra {
      case .none: [(false, n)]
      case .leading(let count): [(true, count), (false, n)]
      case .middle: [(false, n / 2), (true, 1), (false, n - n / 2)]
      case .ends: [(true, 1), (false, n), (true, 1)]
      }
    return runs.filter { $0.1 > 0 }
  }

  /// The positions `[B, n, C]` among tokens `[B, tokens, C]`.
  public func positions(of tokens: Tensor) -> Tensor {
    pick(tokens, areExtra: false) ?? tokens.narrow(1, from: 0, length: 0)
  }

  /// The other tokens `[B, …, C]` among tokens `[B, tokens, C]`; `nil` if there are none.
  public func extras(of tokens: Tensor) -> Tensor? { pick(tokens, areExtra: true) }

  private func pick(_ tokens: Tensor, areExtra: Bool) -> Tensor? {
    let parts = zip(runs, tokens.split(runs.map(\.count), along: 1)).filter { $0.0.isExtra == areExtra }
    if parts.count < 2 { return parts.first?.1 }
    return concatenate(parts.map(\.1), along: 1)
  }

  /// The tokens `[B, tokens, C]` of positions `[B, n, C]` and the other tokens `[B, …, C]`, in their places.
  public func tokens(_ positions: Tensor, extras: Tensor?) -> Tensor {
    guard let extras else { return positions }
    var (position, extra) = (0, 0)
    let parts = runs.map { run in
      let part = (run.isExtra ? extras : positions).narrow(
        1, from: run.isExtra ? extra : position, length: run.count)
      if run.isExtra { extra += run.count } else { position += run.count }
      return part
    }
    return concatenate(parts, along: 1)
  }

  /// The map `[B, C, height, width]` of tokens `[B, tokens, C]`.
  public func map(of tokens: Tensor) -> Tensor {
    let (B, _, C) = tokens.shape3
    return positions(of: tokens).transpose(1, 2).reshape(B, C, height, width)
  }

  /// A table `[1, tokens, C]` of this grid for another one: its map resized by an antialiased bicubic filter, the
  /// vectors of other tokens kept, as timm's `resample_abs_pos_embed` (timm/layers/pos_embed.py).
  public func resized(_ table: Tensor, to grid: PositionGrid) -> Tensor {
    if grid == self { return table }
    let map = map(of: table).resized(grid.height, grid.width, .bicubic(antialias: true))
    return grid.tokens(map.flatten(from: 2).transpose(1, 2), extras: extras(of: table))
  }
}
