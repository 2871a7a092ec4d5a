import Layers
public import Torch

/// Every architecture that Ganglion builds, by its published name.
///
/// A closed list: adding one is an edit that the compiler checks. What is known of each stands in its family's file.
public enum Architecture: String, CaseIterable, Sendable {
  /// SparX-Mamba-T.
  case sparxMambaTiny = "sparx_mamba_t"
  /// SparX-Mamba-S.
  case sparxMambaSmall = "sparx_mamba_s"
  /// SparX-Mamba-B.
  case sparxMambaBase = "sparx_mamba_b"
  /// A SparX-Mamba small enough to train on a CPU in minutes; not published.
  case sparxMambaMicro = "sparx_mamba_micro"
  /// SparX around the attention of Swin-T.
  case sparxSwinTiny = "sparx_swin_t"
  /// ``sparxSwinTiny`` without connections; not published.
  case sparxSwinTinyPlain = "sparx_swin_t_plain"
  /// SparX around the attention of Swin-B.
  case sparxSwinBase = "sparx_swin_b"
  /// ``sparxSwinBase`` without connections; not published.
  case sparxSwinBasePlain = "sparx_swin_b_plain"
  /// A SparX-Swin small enough to train on a CPU in minutes; not published.
  case sparxSwinMicro = "sparx_swin_micro"
  /// SparX around Mamba's scan in one direction.
  case sparxScanTiny = "sparx_ssm_t"
  /// ``sparxScanTiny`` without connections; not published.
  case sparxScanTinyPlain = "sparx_ssm_t_plain"
  /// SparX around Vim's scan in two directions.
  case sparxTwoWayScanTiny = "sparx_bissm_t"
  /// ``sparxTwoWayScanTiny`` without connections; not published.
  case sparxTwoWayScanTinyPlain = "sparx_bissm_t_plain"
  /// A small SparX around MambaOut's gated convolution; not published.
  case sparxMambaOutMicro = "sparx_mambaout_micro"
  /// A small SparX around MambaVision's mixer; not published.
  case sparxMambaVisionMicro = "sparx_mamba_vision_micro"
  /// A small SparX around TransXNet's D-Mixer; not published.
  case sparxTransXNetMicro = "sparx_transxnet_micro"
  /// ConvNeXt-T.
  case convNeXtTiny = "convnext_tiny"
  /// ConvNeXt-S.
  case convNeXtSmall = "convnext_small"
  /// ConvNeXt-B.
  case convNeXtBase = "convnext_base"
  /// A ConvNeXt small enough to train on a CPU in minutes; not published.
  case convNeXtMicro = "convnext_micro"
  /// MambaOut-Femto.
  case mambaOutFemto = "mambaout_femto"
  /// MambaOut-Kobe: Femto with 24 layers.
  case mambaOutKobe = "mambaout_kobe"
  /// MambaOut-Tiny.
  case mambaOutTiny = "mambaout_tiny"
  /// MambaOut-Small.
  case mambaOutSmall = "mambaout_small"
  /// MambaOut-Base.
  case mambaOutBase = "mambaout_base"
  /// A MambaOut small enough to train on a CPU in minutes; not published.
  case mambaOutMicro = "mambaout_micro"
  /// ResNet-50.
  case resNet50 = "resnet50"
  /// A ResNet small enough to train on a CPU in minutes; not published.
  case resNetMicro = "resnet_micro"
  /// VMamba-T, s1l8.
  case vmambaTinyS1L8 = "vmamba_tiny_s1l8"
  /// VMamba-T, s2l5.
  case vmambaTinyS2L5 = "vmamba_tiny_s2l5"
  /// VMamba-S, s2l15.
  case vmambaSmallS2L15 = "vmamba_small_s2l15"
  /// VMamba-S, s1l20.
  case vmambaSmallS1L20 = "vmamba_small_s1l20"
  /// VMamba-B, s2l15.
  case vmambaBaseS2L15 = "vmamba_base_s2l15"
  /// VMamba-B, s1l20.
  case vmambaBaseS1L20 = "vmamba_base_s1l20"
  /// VMamba-T of the first generation.
  case vanillaVMambaTiny = "vanilla_vmamba_tiny"
  /// VMamba-S of the first generation.
  case vanillaVMambaSmall = "vanilla_vmamba_small"
  /// VMamba-B of the first generation.
  case vanillaVMambaBase = "vanilla_vmamba_base"
  /// A VMamba small enough to train on a CPU in minutes; not published.
  case vmambaMicro = "vmamba_micro"
  /// DeiT-Ti.
  case deitTiny = "deit_tiny"
  /// DeiT-S.
  case deitSmall = "deit_small"
  /// DeiT-B.
  case deitBase = "deit_base"
  /// A DeiT small enough to train on a CPU in minutes; not published.
  case deitMicro = "deit_micro"
  /// Vim-Ti.
  case visionMambaTiny = "vim_tiny"
  /// Vim-S.
  case visionMambaSmall = "vim_small"
  /// Vim-B.
  case visionMambaBase = "vim_base"
  /// Vim-Ti+: Vim-Ti with half a patch between patches.
  case visionMambaTinyPlus = "vim_tiny_plus"
  /// Vim-S+: Vim-S with half a patch between patches.
  case visionMambaSmallPlus = "vim_small_plus"
  /// Vim-Ti with a class token at each end.
  case visionMambaTinyDoubleToken = "vim_tiny_doublecls"
  /// Vim-Ti with the class token before the others.
  case visionMambaTinyFirstToken = "vim_tiny_headcls"
  /// Vim-Ti without a class token, classified by the last position.
  case visionMambaTinyLastPosition = "vim_tiny_lasttoken"
  /// Vim-Ti without a class token, classified by the largest logits of all positions.
  case visionMambaTinyMaximum = "vim_tiny_maxpool"
  /// Vim-Ti without a class token, classified by the mean over positions.
  case visionMambaTinyMean = "vim_tiny_meanpool"
  /// Vim-Ti whose two directions are added.
  case visionMambaTinySummed = "vim_tiny_nodiv"
  /// Vim-Ti that scans from first to last only.
  case visionMambaTinyForward = "vim_tiny_unidirectional"
  /// A Vim small enough to train on a CPU in minutes; not published.
  case visionMambaMicro = "vim_micro"
  /// TransXNet-T.
  case transXNetTiny = "transxnet_t"
  /// TransXNet-S.
  case transXNetSmall = "transxnet_s"
  /// TransXNet-B.
  case transXNetBase = "transxnet_b"
  /// TransXNet-B for images of 384 by 384 pixels.
  case transXNetBase384 = "transxnet_b_384"
  /// A TransXNet small enough to train on a CPU in minutes; not published.
  case transXNetMicro = "transxnet_micro"

  /// MambaVision-T.
  case mambaVisionTiny = "mamba_vision_T"
  /// MambaVision-T2.
  case mambaVisionTiny2 = "mamba_vision_T2"
  /// MambaVision-S.
  case mambaVisionSmall = "mamba_vision_S"
  /// MambaVision-B.
  case mambaVisionBase = "mamba_vision_B"
  /// MambaVision-B, trained on ImageNet-21K first.
  case mambaVisionBase21K = "mamba_vision_B_21k"
  /// MambaVision-L.
  case mambaVisionLarge = "mamba_vision_L"
  /// MambaVision-L, trained on ImageNet-21K first.
  case mambaVisionLarge21K = "mamba_vision_L_21k"
  /// MambaVision-L2.
  case mambaVisionLarge2 = "mamba_vision_L2"
  /// MambaVision-L2 for images of 512 pixels, trained on ImageNet-21K first.
  case mambaVisionLarge2At512 = "mamba_vision_L2_512_21k"
  /// MambaVision-L3 for images of 256 pixels, trained on ImageNet-21K first.
  case mambaVisionLarge3At256 = "mamba_vision_L3_256_21k"
  /// MambaVision-L3 for images of 512 pixels, trained on ImageNet-21K first.
  case mambaVisionLarge3At512 = "mamba_vision_L3_512_21k"
  /// A MambaVision small enough to train on a CPU in minutes; not published.
  case mambaVisionMicro = "mamba_vision_micro"

  /// Swin-T.
  case swinTiny = "swin_tiny"
  /// Swin-S.
  case swinSmall = "swin_small"
  /// Swin-B.
  case swinBase = "swin_base"
  /// A Swin small enough to train on a CPU in minutes; not published.
  case swinMicro = "swin_micro"

  /// SparX-Mamba-T whose ganglion layers see all layers before them (DGC).
  case sparxMambaTinyDenseGanglion = "sparx_mamba_t_dgc"
  /// SparX-Mamba-T as a dense network: S = 1, and ganglion layers see all layers before them (DSN).
  case sparxMambaTinyDenseNetStyle = "sparx_mamba_t_dsn"
  /// SparX-Mamba-T without ganglion layers, stages 3 and 4 widened (PlainNet).
  case sparxMambaTinyPlain = "sparx_mamba_t_plainnet"
  /// SparX-Mamba-T with S = 1: every layer of stage 3 is a ganglion layer.
  case sparxMambaTinyStride1 = "sparx_mamba_t_s1"
  /// SparX-Mamba-T with S = 3: every third layer of stage 3 is a ganglion layer.
  case sparxMambaTinyStride3 = "sparx_mamba_t_s3"
  /// SparX-Mamba-T with S = 4: every fourth layer of stage 3 is a ganglion layer.
  case sparxMambaTinyStride4 = "sparx_mamba_t_s4"
  /// SparX-Mamba-T with M = 2: a ganglion layer sees the last 2 before it.
  case sparxMambaTinyWindow2 = "sparx_mamba_t_m2"
  /// SparX-Mamba-T with M = 4: the same network, as stage 3 has no more than 3 earlier ganglion layers.
  case sparxMambaTinyWindow4 = "sparx_mamba_t_m4"
  /// SparX-Mamba-T with a concatenation in place of DMCA (Concat).
  case sparxMambaTinyConcatenation = "sparx_mamba_t_concat"
  /// SparX-Mamba-T with DMCA's query and values, but no attention (w/o CGCA).
  case sparxMambaTinyWithoutAttention = "sparx_mamba_t_no_cgca"
  /// SparX-Mamba-T with attention over positions in DMCA (SRA).
  case sparxMambaTinySpatialReduction = "sparx_mamba_t_sra"
  /// SparX-Mamba-T with attention over positions at two scales in DMCA (CSA).
  case sparxMambaTinyCrossScale = "sparx_mamba_t_csa"
  /// SparX-Mamba-T with FcaFormer's cross attention in place of DMCA (SCA).
  case sparxMambaTinySpatialCross = "sparx_mamba_t_sca"
  /// SparX-Mamba-T without its position encoding (w/o DPE).
  case sparxMambaTinyWithoutPositionEncoding = "sparx_mamba_t_no_dpe"
  /// SparX-Mamba-T without the shortcut in DMCA (w/o Skip).
  case sparxMambaTinyWithoutShortcut = "sparx_mamba_t_no_skip"
  /// SparX-Mamba-T without the spatial reduction in DMCA (w/o SR).
  case sparxMambaTinyWithoutReduction = "sparx_mamba_t_no_sr"
  /// Gated scan and attention over patches, as wide as DeiT-Ti; not published.
  case gatedHybridTiny = "gated_hybrid_tiny"
  /// Gated scan and attention over patches, as wide as DeiT-S; not published.
  case gatedHybridSmall = "gated_hybrid_small"
  /// One small enough to train on a CPU in minutes; not published.
  case gatedHybridMicro = "gated_hybrid_micro"
  /// Gated scan and attention in four stages; not published.
  case gatedHybridPyramidTiny = "gated_hybrid_pyramid_tiny"
  /// One in four stages small enough to train on a CPU in minutes; not published.
  case gatedHybridPyramidMicro = "gated_hybrid_pyramid_micro"

  private var entry: CatalogEntry {
    switch self {
    case .sparxMambaTiny: .sparxMambaTiny
    case .sparxMambaSmall: .sparxMambaSmall
    case .sparxMambaBase: .sparxMambaBase
    case .sparxMambaMicro: .sparxMambaMicro
    case .sparxSwinTiny: .sparxSwinTiny
    case .sparxSwinTinyPlain: .sparxSwinTinyPlain
    case .sparxSwinBase: .sparxSwinBase
    case .sparxSwinBasePlain: .sparxSwinBasePlain
    case .sparxSwinMicro: .sparxSwinMicro
    case .sparxScanTiny: .sparxScanTiny
    case .sparxScanTinyPlain: .sparxScanTinyPlain
    case .sparxTwoWayScanTiny: .sparxTwoWayScanTiny
    case .sparxTwoWayScanTinyPlain: .sparxTwoWayScanTinyPlain
    case .sparxMambaOutMicro: .sparxMambaOutMicro
    case .sparxMambaVisionMicro: .sparxMambaVisionMicro
    case .sparxTransXNetMicro: .sparxTransXNetMicro
    case .convNeXtTiny: .convNeXtTiny
    case .convNeXtSmall: .convNeXtSmall
    case .convNeXtBase: .convNeXtBase
    case .convNeXtMicro: .convNeXtMicro
    case .mambaOutFemto: .mambaOutFemto
    case .mambaOutKobe: .mambaOutKobe
    case .mambaOutTiny: .mambaOutTiny
    case .mambaOutSmall: .mambaOutSmall
    case .mambaOutBase: .mambaOutBase
    case .mambaOutMicro: .mambaOutMicro
    case .resNet50: .resNet50
    case .resNetMicro: .resNetMicro
    case .vmambaTinyS1L8: .vmambaTinyS1L8
    case .vmambaTinyS2L5: .vmambaTinyS2L5
    case .vmambaSmallS2L15: .vmambaSmallS2L15
    case .vmambaSmallS1L20: .vmambaSmallS1L20
    case .vmambaBaseS2L15: .vmambaBaseS2L15
    case .vmambaBaseS1L20: .vmambaBaseS1L20
    case .vanillaVMambaTiny: .vanillaVMambaTiny
    case .vanillaVMambaSmall: .vanillaVMambaSmall
    case .vanillaVMambaBase: .vanillaVMambaBase
    case .vmambaMicro: .vmambaMicro
    case .deitTiny: .deitTiny
    case .deitSmall: .deitSmall
    case .deitBase: .deitBase
    case .deitMicro: .deitMicro
    case .visionMambaTiny: .visionMambaTiny
    case .visionMambaSmall: .visionMambaSmall
    case .visionMambaBase: .visionMambaBase
    case .visionMambaTinyPlus: .visionMambaTinyPlus
    case .visionMambaSmallPlus: .visionMambaSmallPlus
    case .visionMambaTinyDoubleToken: .visionMambaTiny(reading: .endTokens)
    case .visionMambaTinyFirstToken: .visionMambaTiny(reading: .firstToken)
    case .visionMambaTinyLastPosition: .visionMambaTiny(reading: .lastPosition)
    case .visionMambaTinyMaximum: .visionMambaTiny(reading: .maximum)
    case .visionMambaTinyMean: .visionMambaTiny(reading: .mean)
    case .visionMambaTinySummed: .visionMambaTiny(scanning: .summed)
    case .visionMambaTinyForward: .visionMambaTiny(scanning: .forward)
    case .visionMambaMicro: .visionMambaMicro
    case .transXNetTiny: .transXNetTiny
    case .transXNetSmall: .transXNetSmall
    case .transXNetBase: .transXNetBase
    case .transXNetBase384: .transXNetBase384
    case .transXNetMicro: .transXNetMicro
    case .mambaVisionTiny: .mambaVisionTiny
    case .mambaVisionTiny2: .mambaVisionTiny2
    case .mambaVisionSmall: .mambaVisionSmall
    case .mambaVisionBase: .mambaVisionBase
    case .mambaVisionBase21K: .mambaVisionBase21K
    case .mambaVisionLarge: .mambaVisionLarge
    case .mambaVisionLarge21K: .mambaVisionLarge21K
    case .mambaVisionLarge2: .mambaVisionLarge2
    case .mambaVisionLarge2At512: .mambaVisionLarge2At512
    case .mambaVisionLarge3At256: .mambaVisionLarge3At256
    case .mambaVisionLarge3At512: .mambaVisionLarge3At512
    case .mambaVisionMicro: .mambaVisionMicro
    case .swinTiny: .swinTiny
    case .swinSmall: .swinSmall
    case .swinBase: .swinBase
    case .swinMicro: .swinMicro
    case .sparxMambaTinyDenseGanglion: .sparxMambaTinyDenseGanglion
    case .sparxMambaTinyDenseNetStyle: .sparxMambaTinyDenseNetStyle
    case .sparxMambaTinyPlain: .sparxMambaTinyPlain
    case .sparxMambaTinyStride1: .sparxMambaTinyStride1
    case .sparxMambaTinyStride3: .sparxMambaTinyStride3
    case .sparxMambaTinyStride4: .sparxMambaTinyStride4
    case .sparxMambaTinyWindow2: .sparxMambaTinyWindow2
    case .sparxMambaTinyWindow4: .sparxMambaTinyWindow4
    case .sparxMambaTinyConcatenation: .sparxMambaTinyConcatenation
    case .sparxMambaTinyWithoutAttention: .sparxMambaTinyWithoutAttention
    case .sparxMambaTinySpatialReduction: .sparxMambaTinySpatialReduction
    case .sparxMambaTinyCrossScale: .sparxMambaTinyCrossScale
    case .sparxMambaTinySpatialCross: .sparxMambaTinySpatialCross
    case .sparxMambaTinyWithoutPositionEncoding: .sparxMambaTinyWithoutPositionEncoding
    case .sparxMambaTinyWithoutShortcut: .sparxMambaTinyWithoutShortcut
    case .sparxMambaTinyWithoutReduction: .sparxMambaTinyWithoutReduction
    case .gatedHybridTiny: .gatedHybridTiny
    case .gatedHybridSmall: .gatedHybridSmall
    case .gatedHybridMicro: .gatedHybridMicro
    case .gatedHybridPyramidTiny: .gatedHybridPyramidTiny
    case .gatedHybridPyramidMicro: .gatedHybridPyramidMicro
    }
  }

  /// The network, with the drop-path rate it was trained with.
  public var configuration: any BackboneConfiguration { entry.configuration }

  /// The images that this model takes.
  public var input: ModelInput { entry.input }

  /// What its authors published; `nil` for an architecture of ours.
  public var publication: Publication? { entry.publication }

  /// Builds the model with freshly drawn parameters.
  ///
  /// - Parameters:
  ///   - configuration: the network; the architecture's own if absent.
  ///   - imageSize: height and width of the images in pixels, for tables of positions; the architecture's own if absent.
  ///   - head: what follows the last stage.
  ///   - dropPath: the drop-path rate of the last layer; the configuration's if absent.
  ///   - channels: the number of image channels.
  ///   - seed: what the initial values are drawn from.
  ///   - dtype: the type of the parameters.
  ///   - device: where they live.
  /// - Returns: the model.
  public func makeModel(
    _ configuration: (any BackboneConfiguration)? = nil, imageSize: (height: Int, width: Int)? = nil,
    head: Head = .classifier(classes: 1000), dropPath: Double? = nil, channels: Int = 3, seed: UInt64 = 0,
    dtype: DType = .float32, device: Device = .cpu
  ) -> Model {
    let entry = entry
    let store = ParameterStore(seed: seed, dtype: dtype, device: device)
    var configuration = configuration ?? entry.configuration
    configuration.channels = channels
    if let dropPath { configuration.dropPath = dropPath }
    let size = imageSize ?? entry.input.imageSize
    return Model(architecture: self, store: store, head: head) { [configuration] scope, head in
      configuration.makeBackbone(scope, imageSize: size, head: head)
    }
  }
}
