/// MambaVision, Hatamizadeh & Kautz (2407.08083), table 1, the larger models of the authors' pages, and a small one of
/// ours.
///
/// The models trained on ImageNet-21K first end in the 1000 classes of ImageNet-1K too.
extension CatalogEntry {
  static var mambaVisionTiny: CatalogEntry {
    mambaVision(
      tiny(depths: [1, 3, 8, 4]), dropPath: 0.2, cropFraction: 1, file: "T-1K/mambavision_tiny_1k",
      top1: 82.3, parameters: 31.8, multiplyAdds: 4.4)
  }

  static var mambaVisionTiny2: CatalogEntry {
    mambaVision(
      tiny(depths: [1, 3, 11, 4]), dropPath: 0.2, cropFraction: 0.98, file: "T2-1K/mambavision_tiny2_1k",
      top1: 82.7, parameters: 35.1, multiplyAdds: 5.1)
  }

  static var mambaVisionSmall: CatalogEntry {
    mambaVision(
      configuration(depths: [3, 3, 7, 5], width: 96, headWidth: 48), dropPath: 0.2, cropFraction: 0.93,
      file: "S-1K/mambavision_small_1k", top1: 83.3, parameters: 50.1, multiplyAdds: 7.5)
  }

  static var mambaVisionBase: CatalogEntry {
    base(file: "B-1K/mambavision_base_1k", top1: 84.2)
  }

  static var mambaVisionBase21K: CatalogEntry {
    base(file: "B-21K/mambavision_base_21k", top1: 84.9)
  }

  static var mambaVisionLarge: CatalogEntry {
    large(file: "L-1K/mambavision_large_1k", top1: 85)
  }

  static var mambaVisionLarge21K: CatalogEntry {
    large(file: "L-21K/mambavision_large_21k", top1: 86.1)
  }

  static var mambaVisionLarge2: CatalogEntry {
    mambaVision(
      scaled(depths: [3, 3, 12, 5], width: 196, headWidth: 49), dropPath: 0.3, cropFraction: 1,
      file: "L2-1K/mambavision_large2_1k", top1: 85.3, parameters: 241.5, multiplyAdds: 37.5)
  }

  static var mambaVisionLarge2At512: CatalogEntry {
    mambaVision(
      scaled(depths: [3, 3, 12, 5], width: 196, headWidth: 49, windows: [nil, nil, 32, 16]), dropPath: 0.3,
      size: 512, cropFraction: 0.93, file: "L2-512-21K/mambavision_L2_21k_240m_512", top1: 87.3,
      parameters: 241.5, multiplyAdds: 196.3)
  }

  static var mambaVisionLarge3At256: CatalogEntry {
    mambaVision(
      scaled(depths: [3, 3, 20, 10], width: 256, headWidth: 64, windows: [nil, nil, 16, 8]), dropPath: 0.5,
      size: 256, cropFraction: 1, file: "L3-256-21K/mambavision_L3_21k_740m_256", top1: 87.3,
      parameters: 739.6, multiplyAdds: 122.3)
  }

  static var mambaVisionLarge3At512: CatalogEntry {
    mambaVision(
      scaled(depths: [3, 3, 20, 10], width: 256, headWidth: 64, windows: [nil, nil, 32, 16]), dropPath: 0.5,
      size: 512, cropFraction: 0.93, file: "L3-512-21K/mambavision_L3_21k_740m_512", top1: 88.1,
      parameters: 739.6, multiplyAdds: 489.1)
  }

  static var mambaVisionMicro: CatalogEntry {
    var configuration = MambaVision.Configuration(
      depths: [1, 1, 3, 2], widths: [16, 32, 64, 128], stemWidth: 16, headWidth: 16)
    configuration.windows = [nil, nil, 4, 2]
    return CatalogEntry(
      configuration: configuration, input: ModelInput(size: 64, cropFraction: 1), publication: nil)
  }

  private static func tiny(depths: [Int]) -> MambaVision.Configuration {
    configuration(depths: depths, width: 80, headWidth: 40, stemWidth: 32)
  }

  private static func base(file: String, top1: Double) -> CatalogEntry {
    mambaVision(
      scaled(depths: [3, 3, 10, 5], width: 128, headWidth: 64), dropPath: 0.3, cropFraction: 1, file: file,
      top1: top1, parameters: 97.7, multiplyAdds: 15)
  }

  private static func large(file: String, top1: Double) -> CatalogEntry {
    mambaVision(
      scaled(depths: [3, 3, 10, 5], width: 196, headWidth: 49), dropPath: 0.3, cropFraction: 1, file: file,
      top1: top1, parameters: 227.9, multiplyAdds: 34.9)
  }

  private static func configuration(
    depths: [Int], width: Int, headWidth: Int, stemWidth: Int = 64
  ) -> MambaVision.Configuration {
    MambaVision.Configuration(
      depths: depths, widths: (0..<4).map { width << $0 }, stemWidth: stemWidth, headWidth: headWidth)
  }

  /// A network whose branches are scaled, as from B on.
  private static func scaled(
    depths: [Int], width: Int, headWidth: Int, windows: [Int?] = [nil, nil, 14, 7]
  ) -> MambaVision.Configuration {
    var configuration = configuration(depths: depths, width: width, headWidth: headWidth)
    configuration.branchScale = 1e-5
    configuration.windows = windows
    return configuration
  }

  private static func mambaVision(
    _ configuration: MambaVision.Configuration, dropPath: Double, size: Int = 224, cropFraction: Double,
    file: String, top1: Double, parameters: Double, multiplyAdds: Double
  ) -> CatalogEntry {
    var configuration = configuration
    configuration.dropPath = dropPath
    let place = file.split(separator: "/")
    return CatalogEntry(
      configuration: configuration, input: ModelInput(size: size, cropFraction: cropFraction),
      publication: Publication(
        paper: "2407.08083",
        weights: PublishedWeights(
          "https://huggingface.co/nvidia/MambaVision-\(place[0])/resolve/main/\(place[1]).pth.tar",
          dictionaries: ["state_dict", "model", ""], license: .ccByNcSa4), top1: top1,
        reported: ReportedCounts(parameters: parameters, multiplyAdds: multiplyAdds)))
  }
}
