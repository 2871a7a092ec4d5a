public import Torch

/// How maps `[B, H, W, C]` of one size are cut into square windows, with zeros at the right and the bottom where the
/// last windows reach beyond the map.
///
/// Letters: B batch, H, W positions, C channels, s the side of a window, N windows of an image.
public struct WindowGrid: Hashable, Sendable {
  /// H of the map.
  public let height: Int
  /// W of the map.
  public let width: Int
  /// s.
  public let side: Int

  /// A grid of windows of side s over maps of H by W positions.
  public init(height: Int, width: Int, side: Int) {
    self.height = height
    self.width = width
    self.side = side
  }

  private var rows: Int { (height + side - 1) / side }
  private var columns: Int { (width + side - 1) / side }

  /// Rows of the padded map, a multiple of s.
  public var paddedHeight: Int { rows * side }
  /// Columns of the padded map, a multiple of s.
  public var paddedWidth: Int { columns * side }

  /// The map with its zeros, `[B, paddedHeight, paddedWidth, C]`.
  public func padded(_ map: Tensor) -> Tensor {
    if (paddedHeight, paddedWidth) == (height, width) { return map }
    return map.padded([0, 0, 0, paddedWidth - width, 0, paddedHeight - height])
  }

  /// A padded map without its zeros, `[B, H, W, C]`.
  public func cropped(_ map: Tensor) -> Tensor {
    if (paddedHeight, paddedWidth) == (height, width) { return map }
    return map.narrow(1, from: 0, length: height).narrow(2, from: 0, length: width)
  }

  /// The windows of a padded map, `[B·N, s², C]`, those of an image row by row.
  public func windows(of map: Tensor) -> Tensor {
    let (B, C) = (map.size(0), map.size(3))
    return map.reshape(B, rows, side, columns, side, C)
      .permute(0, 1, 3, 2, 4, 5)  // [B, rows, columns, s, s, C]
      .reshape(B * rows * columns, side * side, C)
  }

  /// The padded map of windows `[B·N, s², C]`.
  public func map(of windows: Tensor) -> Tensor {
    let (B, C) = (windows.size(0) / (rows * columns), windows.size(2))
    return windows.reshape(B, rows, columns, side, side, C)
      .permute(0, 1, 3, 2, 4, 5)  // [B, rows, s, columns, s, C]
      .reshape(B, paddedHeight, paddedWidth, C)
  }
}
