public import Layers
import Scan
import Torch

/// MambaVision: stages of convolutions, then stages whose first half scans and whose second half attends, in windows.
///
/// Hatamizadeh & Kautz, "MambaVision: A Hybrid Mamba-Transformer Vision Backbone" (2407.08083), section 3, figures 2
/// and 3. The authors' code (NVlabs/MambaVision mambavision/models/mamba_vision.py at 7860a50) decides numbers; where it
/// differs from the paper:
/// - Note: the time step's bias is added twice, once by its projection and once by the scan.
/// - Note: time steps start from a bias of 0 and a truncated normal weight: the usual start is drawn and overwritten.
/// - Note: the two convolutions before the scan have no bias, and down-sampling has no norm.
/// - Note: GELU is the hyperbolic-tangent approximation in the stages of convolutions and exact in the others.
/// - Note: the stages of odd depth scan in one block more than they attend in.
/// - Note: maps are padded with zeros to whole windows once a stage, and padded positions take part in the scans and the
///   attention. Windows are those of the configuration whatever the image size.
/// - Note: the authors' counts of multiply-adds leave out the products of queries, keys and values.
///
/// Letters: B batch, C width of a stage, D = C/2 channels of the scan, N states, R rank of the time step, T positions of
/// a window, H, W positions.
public struct MambaVision: HierarchicalBackbone {
  /// Everything that defines the network but its head.
  public struct Configuration: BackboneConfiguration {
    /// The blocks of each stage.
    public var depths: [Int]
    /// The channels of each stage.
    public var widths: [Int]
    /// The channels between the stem's two convolutions.
    public var stemWidth: Int
    /// The channels of an attention head.
    public var headWidth: Int
    /// The side of each stage's windows in positions; `nil` for a stage of convolutions.
    public var windows: [Int?] = [nil, nil, 14, 7]
    /// What the learned scale of the branches starts from in the stages with windows; `nil` for plain branches.
    public var branchScale: Double?
    /// The states of the scan.
    public var states = 8
    /// The feed-forward layer's hidden width as a multiple of the stage's.
    public var expansion = 4
    /// The drop-path rate of the last block; it rises linearly from 0.
    public var dropPath = 0.0
    /// The number of image channels.
    public var channels = 3

    /// Heads have one width, and half of the channels are scanned.
    public var widthUnit: Int { headWidth % 2 == 0 ? headWidth : 2 * headWidth }

    /// A network of stages of these depths and widths.
    public init(depths: [Int], widths: [Int], stemWidth: Int, headWidth: Int) {
      self.depths = depths
      self.widths = widths
      self.stemWidth = stemWidth
      self.headWidth = headWidth
    }

    public func makeBackbone(_ scope: Scope, imageSize: (height: Int, width: Int), head: Head) -> any Backbone
    {
      MambaVision(scope, self, head: head)
    }
  }

  /// One entry for each stage.
  public let featureInfo: [FeatureInfo]
  let stem: [ConvNorm]
  let stages: [MambaVisionStage]
  let downsamples: [Conv2d?]
  let outputNorms: [LayerNorm2d]
  let classifier: MambaVisionClassifier?

  /// Declares the network's parameters under their published keys.
  ///
  /// - Parameters:
  ///   - scope: where they go.
  ///   - configuration: the network.
  ///   - head: what follows the last stage.
  public init(_ scope: Scope, _ configuration: Configuration, head: Head) {
    let (depths, widths) = (configuration.depths, configuration.widths)
    guard let first = widths.first, let last = widths.last, depths.count == widths.count,
      configuration.windows.count == widths.count
    else {
      fatalError(
        "MambaVision: expected a depth, a width and a window for each stage, got \(depths), \(widths) and \(configuration.windows)"
      )
    }
    featureInfo = FeatureInfo.pyramid(widths)
    stem = Self.makeStem(scope["patch_embed.conv_down"], configuration, width: first)
    let rates = configuration.dropPathRates
    var stages: [MambaVisionStage] = []
    var downsamples: [Conv2d?] = []
    for (index, width) in widths.enumerated() {
      let place = scope["levels"][index].inStage(index)
      stages.append(
        MambaVisionStage(
          place["blocks"], configuration, width: width, window: configuration.windows[index],
          dropPaths: rates[index]
        ))
      downsamples.append(
        index + 1 < widths.count
          ? Conv2d(
            place["downsample.reduction.0"].inStage(index + 1), width, widths[index + 1], kernel: 3,
            stride: 2,
            bias: false, initializer: .fanInUniform(9 * width)) : nil)
    }
    self.stages = stages
    self.downsamples = downsamples
    switch head {
    case .none:
      outputNorms = []
      classifier = nil
    case .classifier(let classes):
      outputNorms = []
      classifier = MambaVisionClassifier(scope.afterBlocks, last, classes: classes)
    case .dense:
      outputNorms = widths.enumerated().map {
        LayerNorm2d(scope["outnorm\($0.offset)"].afterBlocks, $0.element, epsilon: 1e-6)
      }
      classifier = nil
    }
  }

  private static func makeStem(_ scope: Scope, _ configuration: Configuration, width: Int) -> [ConvNorm] {
    func conv(_ index: Int, _ inputs: Int, _ outputs: Int) -> ConvNorm {
      ConvNorm(
        conv: scope[index], norm: scope[index + 1], inputs, outputs, kernel: 3, stride: 2, epsilon: 1e-4,
        activation: .relu, initializer: .fanInUniform(9 * inputs))
    }
    let first = conv(0, configuration.channels, configuration.stemWidth)
    scope[0].adapts("weight", as: .imageChannels)
    return [first, conv(3, configuration.stemWidth, width)]
  }

  func downsampled(_ map: Tensor, after stage: Int) -> Tensor { downsamples[stage](map) }
}

/// The blocks of a stage, from `[B, C, H, W]` to the same.
enum MambaVisionStage: Layer {
  /// Blocks of convolutions on the map.
  case convolutions(Chain<MambaVisionConvolution>)
  /// Blocks on the map's windows.
  case windows(side: Int, Chain<MambaVisionBlock>)

  init(
    _ scope: Scope, _ configuration: MambaVision.Configuration, width: Int, window: Int?, dropPaths: [Double]
  ) {
    let depth = dropPaths.count
    if let window {
      // Of an odd number of blocks the middle one scans.
      let chain = Chain(scope, depth: depth) { scope, index in
        MambaVisionBlock(
          scope, configuration, width: width, mixer: index < (depth + 1) / 2 ? .scan : .attention,
          dropPath: dropPaths[index])
      }
      self = .windows(side: window, chain)
    } else {
      self = .convolutions(
        Chain(scope, depth: depth) { MambaVisionConvolution($0, width, dropPath: dropPaths[$1]) })
    }
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    switch self {
    case .convolutions(let blocks): return blocks(x)
    case .windows(let side, let blocks):
      let grid = WindowGrid(height: x.size(2), width: x.size(3), side: side)
      let windows = grid.windows(of: grid.padded(x.permute(0, 2, 3, 1)))  // [B·windows, T, C]
      return grid.cropped(grid.map(of: blocks(windows))).permute(0, 3, 1, 2)  // [B, C, H, W]
    }
  }
}

/// Two 3x3 convolutions with batch normalisation around a shortcut.
///
/// Hatamizadeh & Kautz (2407.08083), section 3.1, equation 1.
struct MambaVisionConvolution: Layer {
  let conv1: ConvNorm
  let conv2: ConvNorm
  let dropPath: DropPath

  init(_ scope: Scope, _ width: Int, dropPath: Double) {
    func conv(_ index: Int, _ activation: Activation?) -> ConvNorm {
      ConvNorm(
        conv: scope["conv\(index)"], norm: scope["norm\(index)"], width, width, kernel: 3, bias: true,
        activation: activation, initializer: .fanInUniform(9 * width))
    }
    conv1 = conv(1, .geluTanh)
    conv2 = conv(2, nil)
    self.dropPath = DropPath(scope["drop_path"], rate: dropPath)
  }

  func callAsFunction(_ x: Tensor) -> Tensor { x + dropPath(conv2(conv1(x))) }
}

/// A mixer of a window's positions and a feed-forward layer, each after a norm and around a shortcut.
///
/// Hatamizadeh & Kautz (2407.08083), section 3.1, equation 2. From `[B, T, C]` to the same.
struct MambaVisionBlock: Layer {
  /// What mixes positions.
  enum Mixer {
    /// The scan beside a branch without one.
    case scan
    /// Attention in heads.
    case attention
  }

  let norm1: LayerNorm
  let mixer: any Layer
  let scale1: Tensor?
  let norm2: LayerNorm
  let feedForward: FeedForward
  let scale2: Tensor?
  let dropPath1: DropPath
  let dropPath2: DropPath

  init(
    _ scope: Scope, _ configuration: MambaVision.Configuration, width: Int, mixer: Mixer, dropPath: Double
  ) {
    func scale(_ name: String) -> Tensor? {
      configuration.branchScale.map { scope.parameter(name, [width], .constant($0)) }
    }
    scale1 = scale("gamma_1")
    scale2 = scale("gamma_2")
    norm1 = LayerNorm(scope["norm1"], width)
    switch mixer {
    case .scan: self.mixer = MambaVisionMixer(scope["mixer"], width, states: configuration.states)
    case .attention:
      self.mixer = MultiHeadAttention(scope["mixer"], width, heads: width / configuration.headWidth)
    }
    norm2 = LayerNorm(scope["norm2"], width)
    feedForward = FeedForward(scope["mlp"], width, hidden: configuration.expansion * width)
    dropPath1 = DropPath(scope["drop_path1"], rate: dropPath)
    dropPath2 = DropPath(scope["drop_path2"], rate: dropPath)
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    let mixed = mixer(norm1(x))
    let y = x + dropPath1(scale1.map { mixed * $0 } ?? mixed)
    let fed = feedForward(norm2(y))
    return y + dropPath2(scale2.map { fed * $0 } ?? fed)
  }
}

/// The mixer: half of the channels pass a convolution and the selective scan, the others a convolution alone.
///
/// Hatamizadeh & Kautz (2407.08083), section 3.2, figure 3 and equation 6. From `[B, T, C]` to the same.
struct MambaVisionMixer: Layer {
  let expand: Linear
  let scanConv: Tensor
  let plainConv: Tensor
  let coefficients: Linear
  let deltaWeight: Tensor
  let deltaBias: Tensor
  let logA: Tensor
  let skip: Tensor
  let output: Linear

  init(_ scope: Scope, _ width: Int, states: Int) {
    let (D, N, R) = (width / 2, states, (width + 15) / 16)
    logA = scope.parameter("A_log", [D, N], .logRange)
    skip = scope.parameter("D", [D], .ones)
    expand = Linear(scope["in_proj"], width, 2 * D, bias: false)
    coefficients = Linear(scope["x_proj"], D, R + 2 * N, bias: false)
    deltaWeight = scope["dt_proj"].parameter("weight", [D, R], .truncatedNormal(deviation: 0.02))
    deltaBias = scope["dt_proj"].parameter("bias", [D], .zeros)
    output = Linear(scope["out_proj"], 2 * D, width, bias: false)
    scanConv = scope["conv1d_x"].parameter("weight", [D, 1, 3], .fanInUniform(3))
    plainConv = scope["conv1d_z"].parameter("weight", [D, 1, 3], .fanInUniform(3))
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    let (D, N) = (logA.size(0), logA.size(1))
    let halves = expand(x).transpose(1, 2).chunk(2, along: 1)  // [B, D, T]
    let u = halves[0].conv1d(scanConv, padding: 1, groups: D).silu()
    let plain = halves[1].conv1d(plainConv, padding: 1, groups: D).silu()
    let parts = coefficients(u.transpose(1, 2))  // [B, T, R | N | N]
      .split([deltaWeight.size(1), N, N], along: 2)
    let scan = SelectiveScan(
      u: u, delta: parts[0].linear(deltaWeight, bias: deltaBias).transpose(1, 2),
      a: -logA.to(logA.dtype == .float64 ? .float64 : .float32).exp(),
      b: parts[1].transpose(1, 2).unsqueeze(1), c: parts[2].transpose(1, 2).unsqueeze(1), d: skip,
      deltaBias: deltaBias, softplus: true)
    let joined = concatenate([scan().y.to(plain.dtype), plain], along: 1)  // [B, 2D, T]
    return output(joined.transpose(1, 2))
  }
}

/// Batch normalisation, the mean over positions and a linear layer.
struct MambaVisionClassifier: Layer {
  let norm: BatchNorm2d
  let linear: Linear

  init(_ scope: Scope, _ width: Int, classes: Int) {
    norm = BatchNorm2d(scope["norm"], width)
    linear = .classifier(scope["head"], width, classes: classes)
  }

  func callAsFunction(_ x: Tensor) -> Tensor { linear(norm(x).mean(2, 3)) }
}
