import Analysis
import Backbones
import Foundation
import Layers
import Testing
import Torch

@Suite struct ModelsTests {
  private func names(_ arguments: String...) throws -> [String] {
    let result = try Tool.run(["models", "--json"] + arguments)
    #expect(result.status == 0, "\(result.errors)")
    let rows = try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [[String: Any]]
    return try #require(rows?.compactMap { $0["name"] as? String })
  }

  @Test func patternsTogetherFindWhatEachFinds() throws {
    #expect(try names() == Architecture.allCases.map(\.rawValue))
    #expect(try names("sparx_mamba_t", "sparx*a_micro") == ["sparx_mamba_t", "sparx_mamba_micro"])
    #expect(
      try names("sparx*a_micro", "sparx_mamba_[st]")
        == ["sparx_mamba_t", "sparx_mamba_s", "sparx_mamba_micro"])
    #expect(
      try names("sparx_mamba_?", "sparx_*_b")
        == ["sparx_mamba_t", "sparx_mamba_s", "sparx_mamba_b", "sparx_swin_b"])
  }

  @Test(arguments: [
    ("name", ["sparx_mamba_b", "sparx_mamba_micro", "sparx_mamba_s", "sparx_mamba_t"]),
    ("parameters", ["sparx_mamba_micro", "sparx_mamba_t", "sparx_mamba_s", "sparx_mamba_b"]),
    ("multiply-adds", ["sparx_mamba_micro", "sparx_mamba_t", "sparx_mamba_s", "sparx_mamba_b"]),
    ("top1", ["sparx_mamba_b", "sparx_mamba_s", "sparx_mamba_t", "sparx_mamba_micro"]),
  ]) func orders(column: String, expected: [String]) throws {
    #expect(try names("sparx_mamba_?", "sparx_mamba_micro", "--sort", column) == expected)
  }

  /// Larger ones have the same operators, and would take seconds.
  static let smallModels = Architecture.allCases.filter { CatalogRow($0).parameters < 50_000_000 }

  /// Counting without elements gives what counting with them gives: every operator that a model of the catalog uses
  /// knows its shape on the meta device.
  @Test(arguments: smallModels) func figuresAreThoseOfTheRealModel(architecture: Architecture) {
    let (real, outline) = (architecture.makeModel(), architecture.makeModel(device: .meta))
    #expect(outline.store.entries.map(\.key) == real.store.entries.map(\.key))
    #expect(outline.store.entries.map(\.tensor.shape) == real.store.entries.map(\.tensor.shape))
    #expect(outline.store.entries.map(\.tensor.dtype) == real.store.entries.map(\.tensor.dtype))
    #expect(outline.store.entries.allSatisfy { $0.tensor.device == .meta })
    let (height, width) = architecture.input.imageSize
    #expect(
      outline.multiplyAdds(height: height, width: width) == real.multiplyAdds(height: height, width: width))
    let row = CatalogRow(architecture)
    #expect(row.parameters == real.store.parameterCount)
    #expect(row.bytes == real.store.entries.reduce(0) { $0 + $1.tensor.byteCount })
  }

  @Test func theTableHasSizesInMegabytes() throws {
    let table = CatalogRow.table([CatalogRow(.sparxMambaTiny)])
    #expect(table.contains("27.05 M  108.3 MB        5.254 G  224x224"), "\(table)")
  }
}
