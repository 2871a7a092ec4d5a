/// ConvNeXt, Liu et al. (2201.03545), table 1, trained on ImageNet-1K, and a small one of ours.
extension CatalogEntry {
  static var convNeXtTiny: CatalogEntry {
    convNeXt(
      [3, 3, 9, 3], [96, 192, 384, 768], dropPath: 0.1, name: "convnext_tiny", top1: 82.1, parameters: 28.6,
      multiplyAdds: 4.5)
  }

  static var convNeXtSmall: CatalogEntry {
    convNeXt(
      [3, 3, 27, 3], [96, 192, 384, 768], dropPath: 0.4, name: "convnext_small", top1: 83.1, parameters: 50.2,
      multiplyAdds: 8.7)
  }

  static var convNeXtBase: CatalogEntry {
    convNeXt(
      [3, 3, 27, 3], [128, 256, 512, 1024], dropPath: 0.5, name: "convnext_base", top1: 83.8,
      parameters: 88.6, multiplyAdds: 15.4)
  }

  static var convNeXtMicro: CatalogEntry {
    var configuration = ConvNeXt.Configuration(depths: [2, 2, 4, 2], widths: [24, 48, 96, 160])
    // A shallow network need not start as the identity.
    configuration.branchScale = 0.1
    return CatalogEntry(
      configuration: configuration, input: ModelInput(size: 64, cropFraction: 1), publication: nil)
  }

  private static func convNeXt(
    _ depths: [Int], _ widths: [Int], dropPath: Double, name: String, top1: Double, parameters: Double,
    multiplyAdds: Double
  ) -> CatalogEntry {
    var configuration = ConvNeXt.Configuration(depths: depths, widths: widths)
    configuration.dropPath = dropPath
    let file = "https://huggingface.co/timm/\(name).fb_in1k/resolve/main/model.safetensors"
    return CatalogEntry(
      configuration: configuration, input: ModelInput(),
      publication: Publication(
        paper: "2201.03545", weights: PublishedWeights(file, license: .apache2), top1: top1,
        reported: ReportedCounts(parameters: parameters, multiplyAdds: multiplyAdds)))
  }
}
