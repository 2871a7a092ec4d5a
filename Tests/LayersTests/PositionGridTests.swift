import Layers
import TestSupport
import Testing
import Torch

@Suite struct PositionGridTests {
  /// Where the tokens that are no position stand among the tokens of a grid of 2 by 3.
  @Test(
    arguments: [
      (.none, []), (.leading(1), [0]), (.leading(2), [0, 1]), (.middle, [3]), (.ends, [0, 7]),
    ] as [(PositionGrid.Extra, [Int])])
  func places(_ extra: PositionGrid.Extra, _ places: [Int]) {
    let grid = PositionGrid(height: 2, width: 3, extra: extra)
    #expect(grid.tokenCount == 6 + places.count)
    let tokens = Tensor((0..<grid.tokenCount).map(Double.init), [1, grid.tokenCount, 1])
    let others = (0..<grid.tokenCount).filter { !places.contains($0) }
    expectEqual(grid.positions(of: tokens), others.map(Double.init), [1, 6, 1])
    expectEqual(grid.map(of: tokens), others.map(Double.init), [1, 1, 2, 3])
    let extras = grid.extras(of: tokens)
    #expect(extras?.array() ?? [] == places.map(Double.init))
    expectClose(grid.tokens(grid.positions(of: tokens), extras: extras), tokens, 0)
  }

  @Test func resizingKeepsOtherTokensAndRamps() {
    let (small, large) = (
      PositionGrid(height: 2, width: 2, extra: .ends), PositionGrid(height: 2, width: 8, extra: .ends)
    )
    let table = Tensor([9.0, 1, 1, 5, 5, 7], [1, 6, 1])
    expectClose(small.resized(table, to: small), table, 0)
    let resized = small.resized(table, to: large)
    expectClose(large.extras(of: resized) ?? table, Tensor([9.0, 7], [1, 2, 1]), 0)
    // Rows are constant, so widening keeps them.
    let rows = Array(repeating: 1.0, count: 8) + Array(repeating: 5, count: 8)
    expectClose(large.positions(of: resized), Tensor(rows, [1, 16, 1]), 1e-12)
  }
}
