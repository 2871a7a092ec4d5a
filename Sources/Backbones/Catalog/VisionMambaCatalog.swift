/// Vision Mamba, Zhu et al. (2401.09417): the models that its authors publish, the variants that its tables compare Vim-Ti
/// with, and a small one of ours.
extension CatalogEntry {
  static var visionMambaTiny: CatalogEntry {
    visionMamba(
      width: 192, weights: "tiny-midclstok/resolve/main/vim_t_midclstok_76p1acc", top1: 76.1, parameters: 7)
  }

  static var visionMambaSmall: CatalogEntry {
    visionMamba(
      width: 384, dropPath: 0.05, weights: "small-midclstok/resolve/main/vim_s_midclstok_80p5acc", top1: 80.5,
      parameters: 26)
  }

  // The authors publish no recipe of Vim-B, so no drop path is known.
  static var visionMambaBase: CatalogEntry {
    visionMamba(
      width: 768, weights: "base-midclstok/resolve/main/vim_b_midclstok_81p9acc", top1: 81.9, parameters: 98)
  }

  // The authors fine-tune both of these without drop path (vim/scripts/ft-vim-t.sh, ft-vim-s.sh).
  static var visionMambaTinyPlus: CatalogEntry {
    visionMamba(
      width: 192, stride: 8, weights: "tiny-midclstok/resolve/main/vim_t_midclstok_ft_78p3acc", top1: 78.3,
      parameters: 7)
  }

  static var visionMambaSmallPlus: CatalogEntry {
    visionMamba(
      width: 384, stride: 8, weights: "small-midclstok/resolve/main/vim_s_midclstok_ft_81p6acc", top1: 81.6,
      parameters: 26)
  }

  static func visionMambaTiny(
    scanning directions: VisionMamba.Directions = .averaged,
    reading readout: VisionMamba.Readout = .middleToken
  ) -> CatalogEntry {
    var configuration = VisionMamba.Configuration(width: 192)
    configuration.directions = directions
    configuration.readout = readout
    return CatalogEntry(
      configuration: configuration, input: ModelInput(),
      publication: Publication(paper: "2401.09417", weights: nil, top1: nil, reported: nil))
  }

  static var visionMambaMicro: CatalogEntry {
    var configuration = VisionMamba.Configuration(depth: 8, width: 96)
    configuration.patch = 8
    configuration.stride = 8
    return CatalogEntry(
      configuration: configuration, input: ModelInput(size: 64, cropFraction: 1), publication: nil)
  }

  private static func visionMamba(
    width: Int, stride: Int = 16, dropPath: Double = 0, weights: String, top1: Double, parameters: Double
  ) -> CatalogEntry {
    var configuration = VisionMamba.Configuration(width: width)
    configuration.stride = stride
    configuration.dropPath = dropPath
    return CatalogEntry(
      configuration: configuration, input: ModelInput(),
      publication: Publication(
        paper: "2401.09417",
        weights: PublishedWeights(
          "https://huggingface.co/hustvl/Vim-\(weights).pth", dictionaries: ["model"], license: .apache2),
        top1: top1,
        reported: ReportedCounts(parameters: parameters, multiplyAdds: nil)))
  }
}
