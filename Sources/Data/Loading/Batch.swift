/// Samples ready for the network, as plain numbers that may cross threads.
public struct Batch: Hashable, Sendable {
  /// Normalised pixels `[count, channels, height, width]`.
  public let pixels: [Float]
  /// Class labels `[count]`.
  public let labels: [Int64]
  /// The samples' indices in the data set, `[count]`.
  public let indices: [Int]
  /// Rows of each picture.
  public let height: Int
  /// Columns of each picture.
  public let width: Int

  /// The number of samples.
  public var count: Int { indices.count }
  /// Numbers of a pixel: 3 for colours, 1 for greys.
  public var channels: Int { pixels.count / max(1, count * height * width) }
  /// The sizes of ``pixels``.
  public var shape: [Int] { [count, channels, height, width] }
}
