/// TransXNet, Lou et al. (2310.19380), table 1, and a small one of ours.
extension CatalogEntry {
  static var transXNetTiny: CatalogEntry {
    transXNet(
      .published(
        depths: [3, 3, 9, 3], widths: [48, 96, 224, 448], heads: [1, 2, 4, 8], kernels: [2, 2, 2, 2],
        expansions: [4, 4, 4, 4]), dropPath: 0.1, ModelInput(cropFraction: 0.9), file: "transx-t.pth.tar",
      top1: 81.6, parameters: 12.8, multiplyAdds: 1.8)
  }

  static var transXNetSmall: CatalogEntry {
    transXNet(
      .published(
        depths: [4, 4, 12, 4], widths: [64, 128, 320, 512], heads: [1, 2, 5, 8], kernels: [2, 2, 3, 4],
        expansions: [6, 6, 4, 4]), dropPath: 0.2, ModelInput(cropFraction: 0.9), file: "transx-s.pth.tar",
      top1: 83.8, parameters: 26.9, multiplyAdds: 4.5)
  }

  static var transXNetBase: CatalogEntry {
    transXNet(
      base, dropPath: 0.4, ModelInput(cropFraction: 0.95), file: "transx-b.pth.tar", top1: 84.6,
      parameters: 48.0, multiplyAdds: 8.3)
  }

  /// Fine-tuned on larger images with the tables of the smaller ones, as the published parameter count tells.
  static var transXNetBase384: CatalogEntry {
    var configuration = base
    configuration.tableSize = 224
    return transXNet(
      configuration, dropPath: 0.4, ModelInput(size: 384, cropFraction: 0.95), file: "transx-b-384.pth.tar",
      top1: 85.5, parameters: 48.0, multiplyAdds: 24.2)
  }

  static var transXNetMicro: CatalogEntry {
    var configuration = TransXNet.Configuration(stages: [
      .init(depth: 1, width: 32, heads: 1, reduction: 4), .init(depth: 2, width: 48, heads: 2, reduction: 2),
      .init(depth: 3, width: 96, heads: 4, reduction: 1), .init(depth: 1, width: 128, heads: 8, reduction: 1),
    ])
    configuration.kernel = 3
    configuration.branchScale = 0.1
    return CatalogEntry(
      configuration: configuration, input: ModelInput(size: 64, cropFraction: 1), publication: nil)
  }

  private static var base: TransXNet.Configuration {
    .published(
      depths: [4, 4, 21, 4], widths: [76, 152, 336, 672], heads: [2, 4, 8, 16], kernels: [2, 2, 4, 4],
      expansions: [8, 8, 4, 4])
  }

  private static func transXNet(
    _ configuration: TransXNet.Configuration, dropPath: Double, _ input: ModelInput, file: String,
    top1: Double, parameters: Double, multiplyAdds: Double
  ) -> CatalogEntry {
    var configuration = configuration
    configuration.dropPath = dropPath
    let release = "https://github.com/LMMMEng/TransXNet/releases/download/v1.0/"
    return CatalogEntry(
      configuration: configuration, input: input,
      publication: Publication(
        paper: "2310.19380",
        weights: PublishedWeights(
          release + file, dictionaries: ["state_dict", "model", ""], license: .apache2), top1: top1,
        reported: ReportedCounts(parameters: parameters, multiplyAdds: multiplyAdds)))
  }
}
