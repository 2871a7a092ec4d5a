/// Gated scan and attention: networks of ours, over patches in the sizes of DeiT and Vim, and in stages in that of Swin.
extension CatalogEntry {
  static var gatedHybridTiny: CatalogEntry { gatedHybrid(.init(width: 192), dropPath: 0.1) }

  static var gatedHybridSmall: CatalogEntry { gatedHybrid(.init(width: 384), dropPath: 0.1) }

  static var gatedHybridMicro: CatalogEntry {
    gatedHybrid(.init(depth: 6, width: 96, patch: 8), size: 64)
  }

  static var gatedHybridPyramidTiny: CatalogEntry {
    gatedHybrid(.init(depths: [2, 2, 9, 2], widths: [64, 128, 256, 512]), dropPath: 0.2)
  }

  static var gatedHybridPyramidMicro: CatalogEntry {
    var configuration = GatedHybrid.Configuration(
      depths: [1, 1, 3, 1], widths: [16, 32, 64, 128], window: 4)
    configuration.headWidth = 16
    return gatedHybrid(configuration, size: 64)
  }

  private static func gatedHybrid(
    _ configuration: GatedHybrid.Configuration, dropPath: Double = 0, size: Int = 224
  ) -> CatalogEntry {
    var configuration = configuration
    configuration.dropPath = dropPath
    return CatalogEntry(
      configuration: configuration,
      input: size == 224 ? ModelInput(cropFraction: 0.9) : ModelInput(size: size, cropFraction: 1),
      publication: nil)
  }
}
