/// SparX on other mixers, Lou, Fu & Yu (2409.09649), section 4.5, tables 9 and 10, and small ones of ours.
///
/// The paper gives depths and widths, "token mixer → FFN", no position encoding and SparX-Mamba's stem; no code was
/// published. What is chosen here:
/// - Note: norms, learned shortcut scales, stem, down-sampling and classifier are SparX-Mamba's; SparX-Swin-B has the stem
///   of T, from which the paper makes it, and the stride and the placement of SparX-Mamba-B.
/// - Note: SparX-Swin's hidden width is 3.25 times the stage's. The text names no factor and asks for Swin's cost: this
///   one comes within 5 % of the parameters and multiply-adds of Swin-T and Swin-B, and Swin's own 4 does not.
/// - Note: the scans keep the base network's one state for each channel and its hidden width of 4 times the stage's; with
///   Mamba's 16 states the scan in two directions would cost more than VMamba-T, which the paper finds it cheaper than.
extension CatalogEntry {
  static var sparxSwinTiny: CatalogEntry { sparxSwinTiny(isConnected: true) }

  static var sparxSwinTinyPlain: CatalogEntry { sparxSwinTiny(isConnected: false) }

  static var sparxSwinBase: CatalogEntry { sparxSwinBase(isConnected: true) }

  static var sparxSwinBasePlain: CatalogEntry { sparxSwinBase(isConnected: false) }

  static var sparxScanTiny: CatalogEntry { sparxScanTiny(.forward, isConnected: true) }

  static var sparxScanTinyPlain: CatalogEntry { sparxScanTiny(.forward, isConnected: false) }

  static var sparxTwoWayScanTiny: CatalogEntry { sparxScanTiny(.averaged, isConnected: true) }

  static var sparxTwoWayScanTinyPlain: CatalogEntry { sparxScanTiny(.averaged, isConnected: false) }

  static var sparxSwinMicro: CatalogEntry {
    micro(.windowAttention(side: 4, headWidth: 16)) {
      $0.hasPositionEncoding = false
      $0.feedForward = .linear
    }
  }

  static var sparxMambaOutMicro: CatalogEntry { micro(.gatedConvolution()) }

  static var sparxMambaVisionMicro: CatalogEntry { micro(.windowScan(side: 8)) }

  static var sparxTransXNetMicro: CatalogEntry { micro(.dualDynamic(headWidth: 8)) }

  private static func sparxSwinTiny(isConnected: Bool) -> CatalogEntry {
    var configuration = SparX.Configuration.published(
      depths: [2, 2, 7, 2], widths: [96, 192, 320, 576], stem: .twoConvolutions, stride: 2)
    configuration.mixer = .windowAttention()
    configuration.expansion = 3.25
    configuration.dropPath = 0.2
    return generalized(configuration, isConnected: isConnected)
  }

  private static func sparxSwinBase(isConnected: Bool) -> CatalogEntry {
    var configuration = SparX.Configuration.published(
      depths: [2, 2, 27, 3], widths: [120, 240, 396, 616], stem: .twoConvolutions, stride: 3,
      last: .every(stride: 2, from: 2))
    configuration.mixer = .windowAttention()
    configuration.expansion = 3.25
    configuration.dropPath = 0.5
    return generalized(configuration, isConnected: isConnected)
  }

  private static func sparxScanTiny(_ directions: VisionMamba.Directions, isConnected: Bool) -> CatalogEntry {
    var configuration = SparX.Configuration.published(
      depths: [2, 2, 7, 2], widths: [96, 192, 320, 512], stem: .twoConvolutions, stride: 2)
    configuration.mixer = .scan1D(directions)
    configuration.dropPath = 0.2
    return generalized(configuration, isConnected: isConnected)
  }

  /// Section 4.5's layers: no position encoding, the mixer and two projections.
  private static func generalized(_ configuration: SparX.Configuration, isConnected: Bool) -> CatalogEntry {
    var configuration = configuration
    configuration.hasPositionEncoding = false
    configuration.feedForward = .linear
    if !isConnected {
      for index in configuration.stages.indices { configuration.stages[index].connection = .none }
    }
    return CatalogEntry(
      configuration: configuration, input: ModelInput(cropFraction: 0.9),
      publication: isConnected
        ? Publication(paper: "2409.09649", weights: nil, top1: nil, reported: nil) : nil)
  }

  private static func micro(
    _ mixer: SparX.Mixer, _ change: (inout SparX.Configuration) -> Void = { _ in }
  ) -> CatalogEntry {
    var configuration = SparX.Configuration.published(
      depths: [1, 2, 3, 2], widths: [16, 32, 64, 96], stem: .twoConvolutions, stride: 2)
    configuration.mixer = mixer
    change(&configuration)
    return CatalogEntry(
      configuration: configuration, input: ModelInput(size: 64, cropFraction: 1), publication: nil)
  }
}
