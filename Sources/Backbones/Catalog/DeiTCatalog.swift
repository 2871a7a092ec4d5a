/// DeiT, Touvron et al. (2012.12877), table 1, and a small one of ours.
extension CatalogEntry {
  static var deitTiny: CatalogEntry {
    deit(width: 192, file: "deit_tiny_patch16_224-a1311bcf.pth", top1: 72.2, parameters: 5)
  }

  static var deitSmall: CatalogEntry {
    deit(width: 384, file: "deit_small_patch16_224-cd65a155.pth", top1: 79.9, parameters: 22)
  }

  static var deitBase: CatalogEntry {
    deit(width: 768, file: "deit_base_patch16_224-b5f2ef4d.pth", top1: 81.8, parameters: 86)
  }

  static var deitMicro: CatalogEntry {
    var configuration = DeiT.Configuration(depth: 8, width: 96)
    configuration.headWidth = 32
    configuration.patch = 8
    return CatalogEntry(
      configuration: configuration, input: ModelInput(size: 64, cropFraction: 1), publication: nil)
  }

  private static func deit(width: Int, file: String, top1: Double, parameters: Double) -> CatalogEntry {
    var configuration = DeiT.Configuration(width: width)
    configuration.dropPath = 0.1
    return CatalogEntry(
      configuration: configuration, input: ModelInput(cropFraction: 0.9),
      publication: Publication(
        paper: "2012.12877",
        weights: PublishedWeights("https://dl.fbaipublicfiles.com/deit/" + file, license: .apache2),
        top1: top1, reported: ReportedCounts(parameters: parameters, multiplyAdds: nil)))
  }
}
