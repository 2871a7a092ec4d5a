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
      guard last >= 1, agrees(except: last - 1), given.count == given.size(-2) * given.size(-1),
        let side = squareRoot(given.size(-2) - grid.extraCount), side > 0
      else { return .misfit }
      let square = PositionGrid(height: side, width: side, extra: grid.extra)
      let table = given.to(.float32).reshape(1, given.size(-2), given.size(-1))
      return .value(square.resized(table, to: grid).reshape(shape))
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

/// The whole number whose square is `square`, if there is one.
private func squareRoot(_ square: Int) -> Int? {
  guard square >= 0 else { return nil }
  let root = Int(Double(square).squareRoot().rounded())
  return root * root == square ? root : nil
}
