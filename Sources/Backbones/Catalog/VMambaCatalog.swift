/// VMamba, Liu et al. (2401.10166), both generations, and a small one of ours.
///
/// Figures are those of the authors' pages. Their names end with the mixer's expansion and the depth of stage 3.
extension CatalogEntry {
  static var vmambaTinyS1L8: CatalogEntry {
    vmamba(
      .init(depths: [2, 2, 8, 2], widths: tinyWidths, expansion: 1), dropPath: 0.2,
      file: "v2cls/vssm1_tiny_0230s_ckpt_epoch_264.pth", top1: 82.6, parameters: 30, multiplyAdds: 4.9)
  }

  static var vmambaTinyS2L5: CatalogEntry {
    vmamba(
      .init(depths: [2, 2, 5, 2], widths: tinyWidths, expansion: 2), dropPath: 0.2,
      file: "v2cls/vssm_tiny_0230_ckpt_epoch_262.pth", top1: 82.5, parameters: 31, multiplyAdds: 4.9)
  }

  static var vmambaSmallS2L15: CatalogEntry {
    vmamba(
      .init(depths: [2, 2, 15, 2], widths: tinyWidths, expansion: 2), dropPath: 0.3,
      file: "v2cls/vssm_small_0229_ckpt_epoch_222.pth", top1: 83.6, parameters: 50, multiplyAdds: 8.7)
  }

  static var vmambaSmallS1L20: CatalogEntry {
    vmamba(
      .init(depths: [2, 2, 20, 2], widths: tinyWidths, expansion: 1), dropPath: 0.3,
      file: "v2cls/vssm1_small_0229s_ckpt_epoch_240.pth", top1: 83.3, parameters: 49, multiplyAdds: 8.6)
  }

  static var vmambaBaseS2L15: CatalogEntry {
    vmamba(
      .init(depths: [2, 2, 15, 2], widths: baseWidths, expansion: 2), dropPath: 0.6,
      file: "v2cls/vssm_base_0229_ckpt_epoch_237.pth", top1: 83.9, parameters: 89, multiplyAdds: 15.4)
  }

  static var vmambaBaseS1L20: CatalogEntry {
    vmamba(
      .init(depths: [2, 2, 20, 2], widths: baseWidths, expansion: 1), dropPath: 0.5,
      file: "v2cls/vssm1_base_0229s_ckpt_epoch_225.pth", top1: 83.8, parameters: 87, multiplyAdds: 15.2)
  }

  static var vanillaVMambaTiny: CatalogEntry {
    vmamba(
      .vanilla(depths: [2, 2, 9, 2], widths: tinyWidths), dropPath: 0.2,
      file: "v0cls/vssmtiny_dp01_ckpt_epoch_292.pth", top1: 82.2, parameters: 23, multiplyAdds: 5.6)
  }

  static var vanillaVMambaSmall: CatalogEntry {
    vmamba(
      .vanilla(depths: [2, 2, 27, 2], widths: tinyWidths), dropPath: 0.3,
      file: "v0cls/vssmsmall_dp03_ckpt_epoch_238.pth", top1: 83.5, parameters: 44, multiplyAdds: 11.2)
  }

  static var vanillaVMambaBase: CatalogEntry {
    vmamba(
      .vanilla(depths: [2, 2, 27, 2], widths: baseWidths), dropPath: 0.6,
      file: "v0cls/vssmbase_dp06_ckpt_epoch_241.pth", top1: 83.7, parameters: 76, multiplyAdds: 18)
  }

  static var vmambaMicro: CatalogEntry {
    CatalogEntry(
      configuration: VMamba.Configuration(depths: [1, 1, 3, 1], widths: [24, 48, 96, 192], expansion: 1),
      input: ModelInput(size: 64, cropFraction: 1), publication: nil)
  }

  private static var tinyWidths: [Int] { [96, 192, 384, 768] }
  private static var baseWidths: [Int] { [128, 256, 512, 1024] }

  private static func vmamba(
    _ configuration: VMamba.Configuration, dropPath: Double, file: String, top1: Double, parameters: Double,
    multiplyAdds: Double
  ) -> CatalogEntry {
    var configuration = configuration
    configuration.dropPath = dropPath
    let releases = "https://github.com/MzeroMiko/VMamba/releases/download/%23"
    return CatalogEntry(
      configuration: configuration, input: ModelInput(),
      publication: Publication(
        paper: "2401.10166",
        weights: PublishedWeights(releases + file, dictionaries: ["model"], license: .mit), top1: top1,
        reported: ReportedCounts(parameters: parameters, multiplyAdds: multiplyAdds)))
  }
}
