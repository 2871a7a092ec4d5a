public import Layers
import Torch

/// MambaOut: gated convolutions in four stages, which is Mamba's block without its state-space model.
///
/// Yu & Wang, "MambaOut: Do We Really Need Mamba for Vision?" (2405.07992), section 4.1, algorithm 1. The authors' code
/// (yuweihao/MambaOut models/mambaout.py at 9f2f234) decides numbers; what only the code says:
/// - Note: the stem is two strided 3x3 convolutions and the later stages begin with one, each followed by a norm.
/// - Note: the classifier has a hidden layer of four times the last width, whose norm follows its activation.
/// - Note: norms have an epsilon of 1e-6.
/// - Note: the authors publish no code for dense prediction; the extra norms here are ConvNeXt's.
///
/// Letters: B batch, C width of a stage, D inner width of a block, K convolved channels, H, W positions.
public struct MambaOut: HierarchicalBackbone {
  /// Everything that defines the network but its head.
  public struct Configuration: BackboneConfiguration {
    /// The layers of each stage.
    public var depths: [Int]
    /// The channels of each stage.
    public var widths: [Int]
    /// The inner width of a block as a multiple of the stage's, rounded down.
    public var expansion = 8.0 / 3
    /// The side of the depthwise convolution's window in pixels.
    public var kernel = 7
    /// The channels that are convolved, as a multiple of the stage's, rounded down.
    public var convolvedShare = 1.0
    /// The drop-path rate of the last layer; it rises linearly from 0.
    public var dropPath = 0.0
    /// The number of image channels.
    public var channels = 3

    /// The stem begins with half the width of stage 1.
    public var widthUnit: Int { 2 }

    /// A network of stages of these depths and widths.
    public init(depths: [Int], widths: [Int]) {
      self.depths = depths
      self.widths = widths
    }

    public func makeBackbone(_ scope: Scope, imageSize: (height: Int, width: Int), head: Head) -> any Backbone
    {
      MambaOut(scope, self, head: head)
    }
  }

  /// One entry for each stage.
  public let featureInfo: [FeatureInfo]
  let stem: MambaOutStem
  let stages: [MambaOutStage]
  let outputNorms: [LayerNorm2d]
  let classifier: MambaOutClassifier?

  /// Declares the network's parameters under their published keys.
  ///
  /// - Parameters:
  ///   - scope: where they go.
  ///   - configuration: the network.
  ///   - head: what follows the last stage.
  public init(_ scope: Scope, _ configuration: Configuration, head: Head) {
    let (depths, widths) = (configuration.depths, configuration.widths)
    guard let first = widths.first, let last = widths.last, depths.count == widths.count else {
      fatalError("MambaOut: expected as many depths as widths, got \(depths) and \(widths)")
    }
    featureInfo = FeatureInfo.pyramid(widths)
    let downsample = scope["downsample_layers"]
    stem = MambaOutStem(downsample[0], configuration.channels, first)
    let downsamples = widths.indices.map { stage in
      stage > 0
        ? MambaOutDownsample(downsample[stage].inStage(stage), widths[stage - 1], widths[stage]) : nil
    }
    let rates = configuration.dropPathRates
    stages = depths.indices.map { stage in
      MambaOutStage(
        downsample: downsamples[stage],
        blocks: Chain(scope["stages"][stage].inStage(stage), depth: depths[stage]) { scope, layer in
          GatedConvolution(scope, widths[stage], configuration, dropPath: rates[stage][layer])
        })
    }
    switch head {
    case .none:
      outputNorms = []
      classifier = nil
    case .classifier(let classes):
      outputNorms = []
      classifier = MambaOutClassifier(scope.afterBlocks, last, classes: classes)
    case .dense:
      outputNorms = widths.enumerated().map {
        LayerNorm2d(scope["norm\($0.offset)"].afterBlocks, $0.element, epsilon: 1e-6)
      }
      classifier = nil
    }
  }
}

/// What halves the map, but for the first stage, and the blocks.
struct MambaOutStage: Layer {
  let downsample: MambaOutDownsample?
  let blocks: Chain<GatedConvolution>

  func callAsFunction(_ x: Tensor) -> Tensor { blocks(downsample(x)) }
}

/// A norm, a convolution beside a gate, and a shortcut: the Gated CNN block.
///
/// Yu & Wang (2405.07992), algorithm 1, after Dauphin et al., "Language Modeling with Gated Convolutional Networks"
/// (1612.08083). From `[B, C, H, W]` to the same.
struct GatedConvolution: Layer {
  let norm: LayerNorm
  let mixer: GatedConvolutionMixer
  let dropPath: DropPath

  init(_ scope: Scope, _ width: Int, _ configuration: MambaOut.Configuration, dropPath: Double) {
    norm = LayerNorm(scope["norm"], width, epsilon: 1e-6)
    mixer = GatedConvolutionMixer(
      scope, width, expansion: configuration.expansion, kernel: configuration.kernel,
      convolvedShare: configuration.convolvedShare)
    self.dropPath = DropPath(scope["drop_path"], rate: dropPath)
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    let branch = mixer(norm(x.permute(0, 2, 3, 1)))  // [B, H, W, C]
    return x + dropPath(branch.permute(0, 3, 1, 2))
  }
}

/// A convolution beside a gate, between two projections, `[B, H, W, C]` to the same.
///
/// Of the D channels that are gated, the last K are convolved.
struct GatedConvolutionMixer: Layer {
  let expand: Linear
  let conv: Conv2d
  let project: Linear
  let parts: [Int]

  init(_ scope: Scope, _ width: Int, expansion: Double, kernel: Int, convolvedShare: Double = 1) {
    let D = Int(expansion * Double(width))
    let K = Int(convolvedShare * Double(width))
    if K < 1 || K > D {
      fatalError("MambaOut: of \(D) inner channels \(K) cannot be convolved; change a share or the expansion")
    }
    parts = [D, D - K, K]
    expand = Linear(scope["fc1"], width, 2 * D)
    conv = Conv2d(scope["conv"], K, K, kernel: kernel, groups: K)
    project = Linear(scope["fc2"], D, width)
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    let expanded = expand(x).split(parts, along: -1)  // [B, H, W, D | D - K | K]
    let (gate, kept, convolved) = (expanded[0], expanded[1], expanded[2])
    let mixed = conv(convolved.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)  // [B, H, W, K]
    return project(gate.gelu() * concatenate([kept, mixed], along: -1))
  }
}

/// Two strided convolutions with norms, from an image to a map at a quarter of its size.
struct MambaOutStem: Layer {
  let conv1: Conv2d
  let norm1: LayerNorm2d
  let conv2: Conv2d
  let norm2: LayerNorm2d

  init(_ scope: Scope, _ channels: Int, _ width: Int) {
    conv1 = Conv2d(scope["conv1"], channels, width / 2, kernel: 3, stride: 2)
    scope["conv1"].adapts("weight", as: .imageChannels)
    norm1 = LayerNorm2d(scope["norm1"], width / 2, epsilon: 1e-6)
    conv2 = Conv2d(scope["conv2"], width / 2, width, kernel: 3, stride: 2)
    norm2 = LayerNorm2d(scope["norm2"], width, epsilon: 1e-6)
  }

  func callAsFunction(_ x: Tensor) -> Tensor { norm2(conv2(norm1(conv1(x)).gelu())) }
}

/// A strided convolution with a norm, to half the size.
struct MambaOutDownsample: Layer {
  let conv: Conv2d
  let norm: LayerNorm2d

  init(_ scope: Scope, _ inputs: Int, _ outputs: Int) {
    conv = Conv2d(scope["conv"], inputs, outputs, kernel: 3, stride: 2)
    norm = LayerNorm2d(scope["norm"], outputs, epsilon: 1e-6)
  }

  func callAsFunction(_ x: Tensor) -> Tensor { norm(conv(x)) }
}

/// The mean over positions, a norm and two linear layers.
struct MambaOutClassifier: Layer {
  let inputNorm: LayerNorm
  let expand: Linear
  let norm: LayerNorm
  let linear: Linear

  init(_ scope: Scope, _ width: Int, classes: Int) {
    inputNorm = LayerNorm(scope["norm"], width, epsilon: 1e-6)
    let head = scope["head"]
    expand = Linear(head["fc1"], width, 4 * width, activation: .gelu)
    norm = LayerNorm(head["norm"], 4 * width, epsilon: 1e-6)
    linear = .classifier(head["fc2"], 4 * width, classes: classes)
  }

  func callAsFunction(_ x: Tensor) -> Tensor { linear(norm(expand(inputNorm(x.mean(2, 3))))) }
}
