/// DeiT, Touvron et al. (2012.12877), table 1, and a small one of ours.
extension CatalogEntry {
  static var deitTiny: CatalogEntry {
    deit(width: 192, name: "tiny", sha256: "a1311bcf", top1: 72.2, parameters: 5)
  }

  static var deitSmall: CatalogEntry {
    deit(width: 384, name: "small", sha256: "cd65a155", top1: 79.9, parameters: 22)
  }

  static var deitBase: CatalogEntry {
    deit(width: 768, name: "base", sha256: "b5f2ef4d", top1: 81.8, parameters: 86)
  }

  static var deitMicro: CatalogEntry {
    var configuration = DeiT.Configuration(depth: 8, width: 96)
    configuration.headWidth = 32
    configuration.patch = 8
    return CatalogEntry(
      configuration: configuration, input: ModelInput(size: 64, cropFraction: 1), publication: nil)
  }

  private static func deit(width: Int, name: String, sha256: String, top1: Double, parameters: Double)
    -> CatalogEntry
  {
    var configuration = DeiT.Configuration(width: width)
    configuration.dropPath = 0.1
    return CatalogEntry(
      configuration: configuration, input: ModelInput(cropFraction: 0.9),
      publication: Publication(
        paper: "2012.12877",
        weights: PublishedWeights(
          "https://dl.fbaipublicfiles.com/deit/deit_\(name)_patch16_224-\(sha256).pth",
          dictionaries: ["model"],
          sha256: sha256, license: .apache2),
        top1: top1, reported: ReportedCounts(parameters: parameters, multiplyAdds: nil)))
  }
}
