/// SparX-Mamba, Lou, Fu & Yu (2409.09649), table 1, and a small one of ours.
extension CatalogEntry {
  static var sparxMambaTiny: CatalogEntry {
    sparx(
      .published(depths: [2, 2, 7, 2], widths: [96, 192, 320, 512], stem: .twoConvolutions, stride: 2),
      dropPath: 0.2,
      cropFraction: 0.9, file: "sparx_mamba_tiny_in1k.pth", top1: 83.5, parameters: 25, multiplyAdds: 5.2)
  }

  static var sparxMambaSmall: CatalogEntry {
    sparx(
      .published(depths: [2, 2, 17, 2], widths: [96, 192, 328, 544], stem: .threeConvolutions, stride: 3),
      dropPath: 0.3, cropFraction: 0.95, file: "sparx_mamba_small_in1k.pth", top1: 84.2, parameters: 47,
      multiplyAdds: 9.3)
  }

  static var sparxMambaBase: CatalogEntry {
    sparx(
      .published(
        depths: [2, 2, 21, 3], widths: [120, 240, 396, 636], stem: .threeConvolutions, stride: 3,
        last: .every(stride: 2, from: 2)),
      dropPath: 0.5, cropFraction: 0.95, file: "sparx_mamba_base_in1k.pth", top1: 84.5, parameters: 84,
      multiplyAdds: 15.9)
  }

  static var sparxMambaMicro: CatalogEntry {
    var configuration = SparX.Configuration.published(
      depths: [1, 2, 3, 2], widths: [16, 32, 64, 96], stem: .twoConvolutions, stride: 2)
    configuration.mixer = .scan2D(kernel: 3)
    return CatalogEntry(
      configuration: configuration, input: ModelInput(size: 64, cropFraction: 1), publication: nil)
  }

  private static func sparx(
    _ configuration: SparX.Configuration, dropPath: Double, cropFraction: Double, file: String, top1: Double,
    parameters: Double, multiplyAdds: Double
  ) -> CatalogEntry {
    var configuration = configuration
    configuration.dropPath = dropPath
    let release = "https://github.com/LMMMEng/SparX/releases/download/v1/"
    return CatalogEntry(
      configuration: configuration, input: ModelInput(cropFraction: cropFraction),
      publication: Publication(
        paper: "2409.09649", weights: PublishedWeights(release + file, dictionaries: [""], license: .none),
        top1: top1,
        reported: ReportedCounts(parameters: parameters, multiplyAdds: multiplyAdds)))
  }
}
