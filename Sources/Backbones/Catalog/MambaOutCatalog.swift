/// MambaOut, Yu & Wang (2405.07992), table 1, and a small one of ours.
extension CatalogEntry {
  static var mambaOutFemto: CatalogEntry {
    mambaOut(
      [3, 3, 9, 3], [48, 96, 192, 288], dropPath: 0.025, file: "mambaout_femto.pth", top1: 78.9,
      parameters: 7.3, multiplyAdds: 1.2)
  }

  static var mambaOutKobe: CatalogEntry {
    mambaOut(
      [3, 3, 15, 3], [48, 96, 192, 288], dropPath: 0.025, file: "mambaout_kobe.pth", top1: 80.0,
      parameters: 9.1, multiplyAdds: 1.5)
  }

  static var mambaOutTiny: CatalogEntry {
    mambaOut(
      [3, 3, 9, 3], [96, 192, 384, 576], dropPath: 0.2, file: "mambaout_tiny.pth", top1: 82.7,
      parameters: 26.5, multiplyAdds: 4.5)
  }

  static var mambaOutSmall: CatalogEntry {
    mambaOut(
      [3, 4, 27, 3], [96, 192, 384, 576], dropPath: 0.4, file: "mambaout_small.pth", top1: 84.1,
      parameters: 48.5, multiplyAdds: 9.0)
  }

  static var mambaOutBase: CatalogEntry {
    mambaOut(
      [3, 4, 27, 3], [128, 256, 512, 768], dropPath: 0.6, file: "mambaout_base.pth", top1: 84.2,
      parameters: 84.8, multiplyAdds: 15.8)
  }

  static var mambaOutMicro: CatalogEntry {
    CatalogEntry(
      configuration: MambaOut.Configuration(depths: [2, 2, 4, 2], widths: [16, 32, 64, 96]),
      input: ModelInput(size: 64, cropFraction: 1), publication: nil)
  }

  private static func mambaOut(
    _ depths: [Int], _ widths: [Int], dropPath: Double, file: String, top1: Double, parameters: Double,
    multiplyAdds: Double
  ) -> CatalogEntry {
    var configuration = MambaOut.Configuration(depths: depths, widths: widths)
    configuration.dropPath = dropPath
    let release = "https://github.com/yuweihao/MambaOut/releases/download/model/"
    return CatalogEntry(
      configuration: configuration, input: ModelInput(cropFraction: 1),
      publication: Publication(
        paper: "2405.07992", weights: PublishedWeights(release + file, dictionaries: [""], license: .apache2),
        top1: top1,
        reported: ReportedCounts(parameters: parameters, multiplyAdds: multiplyAdds)))
  }
}
