/// How the projections of a pixel and direction lie for the kernels on GPUs: a row of the time step, B and C, of which the time
/// step has an even rank, filled up to a multiple of 8.
public struct ScanRows: Hashable, Sendable {
  /// The rank of the time step, made even.
  public let rank: Int
  /// The numbers of a row that count.
  public let columns: Int
  /// The numbers of a row.
  public let width: Int

  /// The rows for a time step of a rank, and that many states of a channel.
  public init(rank: Int, states: Int) {
    self.rank = rank + rank % 2
    columns = self.rank + 2 * states
    width = (columns + 7) / 8 * 8
  }
}
