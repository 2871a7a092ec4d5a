/// Swin Transformer, Liu et al. (2103.14030), section 3.3 and table 1, and a small one of ours.
extension CatalogEntry {
  static var swinTiny: CatalogEntry {
    swin(
      depths: [2, 2, 6, 2], width: 96, dropPath: 0.2, name: "tiny", top1: 81.2, parameters: 28,
      multiplyAdds: 4.5)
  }

  static var swinSmall: CatalogEntry {
    swin(
      depths: [2, 2, 18, 2], width: 96, dropPath: 0.3, name: "small", top1: 83.2, parameters: 50,
      multiplyAdds: 8.7)
  }

  static var swinBase: CatalogEntry {
    swin(
      depths: [2, 2, 18, 2], width: 128, dropPath: 0.5, name: "base", top1: 83.5, parameters: 88,
      multiplyAdds: 15.4)
  }

  static var swinMicro: CatalogEntry {
    var configuration = Swin.Configuration(depths: [2, 2, 4, 2], widths: [16, 32, 64, 128])
    configuration.headWidth = 16
    configuration.window = 4
    return CatalogEntry(
      configuration: configuration, input: ModelInput(size: 64, cropFraction: 1), publication: nil)
  }

  private static func swin(
    depths: [Int], width: Int, dropPath: Double, name: String, top1: Double, parameters: Double,
    multiplyAdds: Double
  ) -> CatalogEntry {
    var configuration = Swin.Configuration(depths: depths, widths: (0..<4).map { width << $0 })
    configuration.dropPath = dropPath
    let release = "https://github.com/SwinTransformer/storage/releases/download/v1.0.0/"
    return CatalogEntry(
      configuration: configuration, input: ModelInput(cropFraction: 0.9),
      publication: Publication(
        paper: "2103.14030",
        weights: PublishedWeights(
          release + "swin_\(name)_patch4_window7_224.pth", dictionaries: ["model"], license: .mit),
        top1: top1,
        reported: ReportedCounts(parameters: parameters, multiplyAdds: multiplyAdds)))
  }
}
