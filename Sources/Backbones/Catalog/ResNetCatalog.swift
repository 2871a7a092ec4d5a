/// ResNet, He et al. (1512.03385), table 1, with torchvision's first weights, and a small one of ours.
extension CatalogEntry {
  static var resNet50: CatalogEntry {
    CatalogEntry(
      configuration: ResNet.Configuration(depths: [3, 4, 6, 3], widths: [256, 512, 1024, 2048]),
      input: ModelInput(interpolation: .bilinear),
      publication: Publication(
        paper: "1512.03385",
        weights: PublishedWeights(
          "https://download.pytorch.org/models/resnet50-0676ba61.pth", dictionaries: [""], sha256: "0676ba61",
          license: .bsd3),
        top1: 76.1, reported: ReportedCounts(parameters: 25.6, multiplyAdds: 4.1)))
  }

  static var resNetMicro: CatalogEntry {
    CatalogEntry(
      configuration: ResNet.Configuration(depths: [2, 2, 3, 2], widths: [32, 64, 128, 256]),
      input: ModelInput(size: 64, cropFraction: 1), publication: nil)
  }
}
