import Torch

/// How a parameter takes the value that a related model has for it in another shape.
///
/// A layer declares it beside the parameter (``Scope/adapts(_:as:)``), since only the layer knows what the sizes mean.
/// A parameter without one takes values of its own shape alone.
public enum Adaptation: Hashable, Sendable {
  /// The first dimension counts classes. Of another number of classes nothing is taken: the first value stays.
  case classes
  /// The weight `[O, C, k, k]` of the convolution that reads the image's C channels.
  ///
  /// One channel gets the sum over the given ones, others get them in turn, scaled by given/own, so that equal
  /// channels keep their response: timm's `adapt_input_conv` (timm/models/_manipulate.py), which knows three given ones.
  case imageChannels
  /// A vector for each position of a grid, `[…, tokens, C]`: resized as a map by an antialiased bicubic filter, vectors
  /// of extra tokens kept, as timm's `resample_abs_pos_embed` (timm/layers/pos_embed.py). A given grid is a square.
  case positions(PositionGrid)
  /// A Swin window's bias for each offset and head, `[(2h-1)(2w-1), heads]`: the grid of offsets is resized by a
  /// bicubic filter, as the authors do. A given grid is a square.
  ///
  /// Liu et al. (2103.14030), section 3.2, "Relative position bias"; microsoft/Swin-Transformer utils.py.
  case relativePositions(height: Int, width: Int)
  /// A map `[…, H, W]`, resized by a bicubic filter, such as TransXNet's biases of queries by keys.
  case map
}

/// The tokens that a table of positions has vectors for.
public struct PositionGrid: Hashable, Sendable {
  /// The tokens that are no position of the grid, such as a class token.
  public enum Extra: Hashable, Sendable {
    /// None.
    case none
    /// That many before the grid's first.
    case leading(Int)
    /// One before position n/2 of n, as Vision Mamba (Zhu et al., 2401.09417) places its class token.
    case middle
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

  /// The number of vectors.
  public var tokenCount: Int { height * width + extraCount }

  fileprivate var extraCount: Int {
    switch extra {
    case .none: 0
    case .leading(let count): count
    case .middle: 1
    }
  }

  /// Where the extra vectors lie in a table with `positions` others.
  fileprivate func extraRange(positions: Int) -> Range<Int> {
    let start = extra == .middle ? positions / 2 : 0
    return start..<(start + extraCount)
  }
}

extension Adaptation {
  /// What a parameter of `shape` becomes when it is given a value of another shape.
  enum Outcome {
    case value(Tensor)
    case unchanged
    case misfit
  }

  func outcome(of given: Tensor, for shape: [Int]) -> Outcome {
    guard given.rank == shape.count, given.count > 0 else { return .misfit }
    func agrees(except free: Int...) -> Bool {
      zip(given.shape, shape).enumerated().allSatisfy {
        free.contains($0.offset) || $0.element.0 == $0.element.1
      }
    }
    let last = shape.count - 1
    switch self {
    case .classes:
      return agrees(except: 0) ? .unchanged : .misfit
    case .imageChannels:
      return shape.count == 4 && agrees(except: 1)
        ? .value(Self.channels(given.to(.float32), shape[1])) : .misfit
    case .positions(let grid):
      guard last >= 1, agrees(except: last - 1), let value = grid.resized(given.to(.float32)) else {
        return .misfit
      }
      return .value(value.reshape(shape))
    case .relativePositions(let height, let width):
      guard shape.count == 2, agrees(except: 0), let side = squareRoot(given.size(0)), side % 2 == 1 else {
        return .misfit
      }
      let map = given.to(.float32).transpose(0, 1).reshape(1, -1, side, side)  // [1, heads, side, side]
      return .value(
        map.resized(2 * height - 1, 2 * width - 1, .bicubic()).reshape(shape[1], -1).transpose(0, 1))
    case .map:
      guard last >= 1, agrees(except: last - 1, last) else { return .misfit }
      let map = given.to(.float32).reshape(1, -1, given.size(last - 1), given.size(last))
      return .value(map.resized(shape[last - 1], shape[last], .bicubic()).reshape(shape))
    }
  }

  private static func channels(_ given: Tensor, _ count: Int) -> Tensor {
    if count == 1 { return given.sum(1, keepDimensions: true) }
    let C = given.size(1)
    let turns = concatenate(Array(repeating: given, count: (count + C - 1) / C), along: 1)
    return turns.narrow(1, from: 0, length: count) * (Double(C) / Double(count))
  }
}

extension PositionGrid {
  /// The table `[…, tokens, C]` on this grid; `nil` if the given one is no single square of positions.
  fileprivate func resized(_ table: Tensor) -> Tensor? {
    let (tokens, C) = (table.size(-2), table.size(-1))
    guard table.count == tokens * C, let side = squareRoot(tokens - extraCount), side > 0 else { return nil }
    let rows = table.reshape(tokens, C)
    let given = extraRange(positions: side * side)
    let positions = concatenate([rows[0..<given.lowerBound], rows[given.upperBound..<tokens]], along: 0)
    let map = positions.transpose(0, 1).reshape(1, C, side, side)
      .resized(height, width, .bicubic(antialias: true))
    let vectors = map.reshape(C, -1).transpose(0, 1)  // [height · width, C]
    let place = extraRange(positions: height * width).lowerBound
    return concatenate(
      [vectors[0..<place], rows[given], vectors[place..<(height * width)]], along: 0)
  }
}

/// The whole number whose square is `square`, if there is one.
private func squareRoot(_ square: Int) -> Int? {
  guard square >= 0 else { return nil }
  let root = Int(Double(square).squareRoot().rounded())
  return root * root == square ? root : nil
}
