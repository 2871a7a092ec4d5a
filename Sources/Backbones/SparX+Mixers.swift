import Layers
import Scan
import Torch

/// Where a layer stands in a network, as far as its mixer needs to know.
struct SparXPlace {
  /// The stage's index.
  let stage: Int
  /// The layer's index in its stage.
  let layer: Int
  /// How many maps it sees; `nil` for an ordinary layer.
  let sources: Int?
  /// Rows of the stage's maps.
  let height: Int
  /// Columns of the stage's maps.
  let width: Int
}

extension SparX.Mixer {
  /// What precedes the mixer and the mixer itself, declared in the published order.
  func make(_ scope: Scope, _ stage: SparX.Stage, at place: SparXPlace) -> (SparXEntry, any Layer) {
    let width = stage.width
    func entry(_ outputs: Int? = nil) -> SparXEntry {
      SparXEntry(scope, stage, sources: place.sources, outputs: outputs)
    }
    switch self {
    case .scan2D(let states, let expansion, let kernel):
      let scan = Scan2DMixer.declareScan(scope, width: width, expansion: expansion, states: states)
      return (
        entry(expansion * width),
        Scan2DMixer(scope, scan, width: width, expansion: expansion, kernel: kernel)
      )
    case .convolution(let expansion, let kernel):
      return (
        entry(expansion * width),
        ConvolutionMixer(scope, width: width, expansion: expansion, kernel: kernel)
      )
    case .scan1D(let directions, let states, let expansion):
      return (
        entry(expansion * width),
        Scan1DMixer(scope, directions, width: width, inner: expansion * width, states: states)
      )
    case .windowAttention(let side, let headWidth):
      let attention = WindowAttention(
        scope, width, heads: Self.heads(of: width, near: headWidth), side: side,
        shift: place.layer % 2 == 0 ? .none : .largeMaps)
      return (entry(), OnChannelsLast(layer: attention))
    case .gatedConvolution(let expansion, let kernel):
      let convolution = GatedConvolutionMixer(scope, width, expansion: expansion, kernel: kernel)
      return (entry(), OnChannelsLast(layer: convolution))
    case .windowScan(let side, let states):
      return (entry(), WindowScanMixer(side: side, mixer: MambaVisionMixer(scope, width, states: states)))
    case .dualDynamic(let headWidth, let kernels, let kernel):
      let part = TransXNet.Stage(
        depth: stage.depth, width: width, heads: Self.heads(of: width / 2, near: headWidth),
        reduction: max(1, 8 >> place.stage), kernels: kernels)
      return (entry(), DualDynamicMixer(scope, part, kernel: kernel, at: place))
    }
  }

  /// The number of heads whose width, a multiple of 4 that divides `channels`, is nearest to `headWidth`.
  static func heads(of channels: Int, near headWidth: Int) -> Int {
    let widths = stride(from: 4, through: channels, by: 4).filter { channels % $0 == 0 }
    guard let nearest = widths.min(by: { abs($0 - headWidth) < abs($1 - headWidth) }) else {
      fatalError("SparX: heads need channels that are a multiple of 4, got \(channels)")
    }
    return channels / nearest
  }
}

/// The VSS mixer: a depthwise convolution, SiLU, the scan in four directions, a norm and a projection.
///
/// Liu et al., "VMamba" (2401.10166), section 4.2, without a gate. From `[B, D, H, W]` to `[B, C, H, W]`.
struct Scan2DMixer: Layer {
  let conv: Conv2d
  let scan: Scan2D
  let norm: GroupNorm
  let project: Conv2d

  init(_ scope: Scope, _ scan: Scan2D, width: Int, expansion: Int, kernel: Int) {
    let inner = expansion * width
    self.scan = scan
    conv = Conv2d(scope["conv2d"], inner, inner, kernel: kernel, groups: inner, activation: .silu)
    norm = GroupNorm(scope["out_norm"], inner)
    project = Conv2d(scope["out_proj"], inner, width, kernel: 1)
  }

  /// Declares the scan's own parameters, which stand before those of the entry in the published order.
  static func declareScan(_ scope: Scope, width: Int, expansion: Int, states: Int) -> Scan2D {
    let (K, D, N, R) = (4, expansion * width, states, (width + 15) / 16)
    return Scan2D(
      scope, projection: scope.parameter("x_proj_weight", [K * (R + 2 * N), D, 1], .fanInUniform(D)),
      channels: D, rank: R, states: N)
  }

  func callAsFunction(_ x: Tensor) -> Tensor { project(norm(scan(conv(x)))) }
}

/// A depthwise convolution, SiLU, a norm and a projection: the VSS mixer without its scan.
struct ConvolutionMixer: Layer {
  let conv: Conv2d
  let norm: GroupNorm
  let project: Conv2d

  init(_ scope: Scope, width: Int, expansion: Int, kernel: Int) {
    let inner = expansion * width
    conv = Conv2d(scope["conv2d"], inner, inner, kernel: kernel, groups: inner, activation: .silu)
    norm = GroupNorm(scope["out_norm"], inner)
    project = Conv2d(scope["out_proj"], inner, width, kernel: 1)
  }

  func callAsFunction(_ x: Tensor) -> Tensor { project(norm(conv(x))) }
}

/// The scan of positions row by row, forth or forth and back: SiLU, the scan, a norm and a projection.
///
/// Gu & Dao, "Mamba" (2312.00752), section 3; Zhu et al., "Vision Mamba" (2401.09417), algorithm 1, each without its
/// convolution and gate. From `[B, D, H, W]` to `[B, C, H, W]`.
struct Scan1DMixer: Layer {
  let scan: BidirectionalScan
  let norm: GroupNorm
  let project: Conv2d

  init(_ scope: Scope, _ directions: VisionMamba.Directions, width: Int, inner: Int, states: Int) {
    scan = BidirectionalScan(
      scope, directions, channels: inner, states: states, rank: (width + 15) / 16, kernel: nil)
    norm = GroupNorm(scope["out_norm"], inner)
    project = Conv2d(scope["out_proj"], inner, width, kernel: 1)
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    project(norm(scan(x.flatten(from: 2), gate: nil).reshape(x.shape)))
  }
}

/// A layer of maps `[B, H, W, C]` on maps `[B, C, H, W]`.
struct OnChannelsLast<Inner: Layer>: Layer {
  let layer: Inner

  func callAsFunction(_ x: Tensor) -> Tensor { layer(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) }
}

/// MambaVision's mixer in each window of a map by itself, `[B, C, H, W]` to the same.
///
/// Hatamizadeh & Kautz (2407.08083), section 3.2; maps are padded with zeros to whole windows, as there.
struct WindowScanMixer: Layer {
  let side: Int
  let mixer: MambaVisionMixer

  func callAsFunction(_ x: Tensor) -> Tensor {
    let grid = WindowGrid(height: x.size(2), width: x.size(3), side: side)
    let windows = grid.windows(of: grid.padded(x.permute(0, 2, 3, 1)))  // [B·windows, T, C]
    return grid.cropped(grid.map(of: mixer(windows))).permute(0, 3, 1, 2)
  }
}

/// TransXNet's D-Mixer with a table of biases of its own and the scale that its family puts behind it.
///
/// Lou et al. (2310.19380), section 3.2. From `[B, C, H, W]` to the same.
struct DualDynamicMixer: Layer {
  let mixer: DualTokenMixer
  let table: PositionBias
  let scale: ChannelScale

  init(_ scope: Scope, _ stage: TransXNet.Stage, kernel: Int, at place: SparXPlace) {
    mixer = DualTokenMixer(scope, stage, kernel: kernel)
    table = PositionBias(
      scope, "relative_pos_enc", heads: stage.heads, reduction: stage.reduction, height: place.height,
      width: place.width)
    scale = ChannelScale(scope["layer_scale"], stage.width, initialValue: 1e-5)
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    scale(mixer(x, bias: table(height: x.size(2), width: x.size(3))))
  }
}
