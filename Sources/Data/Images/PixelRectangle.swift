/// A rectangle of whole pixels; `right` and `bottom` lie just outside.
public struct PixelRectangle: Hashable, Sendable, Codable {
  /// The first column.
  public var left: Int
  /// The first row.
  public var top: Int
  /// The column after the last.
  public var right: Int
  /// The row after the last.
  public var bottom: Int

  /// The rectangle from (`left`, `top`) up to, and without, (`right`, `bottom`).
  public init(left: Int, top: Int, right: Int, bottom: Int) {
    self.left = left
    self.top = top
    self.right = right
    self.bottom = bottom
  }

  /// The rectangle of `height` rows and `width` columns that starts at (`left`, `top`).
  public init(left: Int, top: Int, height: Int, width: Int) {
    self.init(left: left, top: top, right: left + width, bottom: top + height)
  }

  /// The number of rows.
  public var height: Int { bottom - top }
  /// The number of columns.
  public var width: Int { right - left }
}
