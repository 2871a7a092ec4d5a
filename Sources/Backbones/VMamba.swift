public import Layers
import Scan
import Torch

/// VMamba: a hierarchical backbone whose mixer scans the feature map in four directions.
///
/// Liu et al., "VMamba: Visual State Space Model" (2401.10166), section 4, in both generations: the first ("Vanilla
/// VMamba"), and the accelerated one that the name VMamba means since. The authors' code (MzeroMiko/VMamba
/// classification/models/vmamba.py at 2ed52ea) decides numbers; where it differs from the paper or adds to it:
/// - Note: the multiply-adds on the authors' pages are up to 2 % more than those of the layers that they name.
/// - Note: convolutions start as PyTorch's do, uniform in ±1/√fan-in, biases too; linear layers start from a truncated
///   normal distribution.
/// - Note: the first generation cuts the image into whole patches, so up to three rows and columns at its lower and right
///   edge are not seen; the second generation sees all pixels.
/// - Note: the authors' code renames older keys (`ln_1`, `self_attention`, `patch_embed.proj`, `norm`, `head`) when it
///   loads a file of the first generation; the keys here are those that it renames them to, and loading does the same.
///
/// Letters: B batch, C width of a stage, D inner width of the mixer, K = 4 directions, N states, R rank of the time
/// step, H, W positions.
public struct VMamba: HierarchicalBackbone {
  /// How an image becomes the first map, at a quarter of its size.
  public enum Stem: Hashable, Sendable {
    /// Patches of 4x4 pixels and a norm: the first generation.
    case patches
    /// Two strided 3x3 convolutions, each with a norm, and GELU between them.
    case convolutions
  }

  /// How a map is halved between stages.
  public enum Downsampling: Hashable, Sendable {
    /// The 2x2 squares joined, normalised and projected: the first generation.
    case merging
    /// A strided 3x3 convolution and a norm.
    case convolution
  }

  /// What mixes positions inside a layer.
  public struct Mixer: Hashable, Sendable {
    /// What the scan's output is multiplied by.
    public enum Gate: Hashable, Sendable {
      /// Nothing.
      case none
      /// SiLU of a second projection of the input: the first generation.
      case silu
    }

    /// N.
    public var states = 1
    /// D as a multiple of C.
    public var expansion = 2
    /// The side of the depthwise convolution's window.
    public var kernel = 3
    /// Whether the depthwise convolution has a bias.
    public var hasBias = false
    /// What the scan's output is multiplied by.
    public var gate = Gate.none
  }

  /// What follows the mixer inside a layer.
  public enum FeedForward: Hashable, Sendable {
    /// Nothing: the first generation.
    case none
    /// Two linear layers and GELU, with a hidden width that is a multiple of the stage's.
    case linear(expansion: Int = 4)
  }

  /// Everything that defines the network but its head.
  public struct Configuration: BackboneConfiguration {
    /// The layers of each stage.
    public var depths: [Int]
    /// The channels of each stage.
    public var widths: [Int]
    /// How an image becomes the first map.
    public var stem = Stem.convolutions
    /// How a map is halved between stages.
    public var downsampling = Downsampling.convolution
    /// What mixes positions.
    public var mixer = Mixer()
    /// What follows the mixer.
    public var feedForward = FeedForward.linear()
    /// The drop-path rate of the last layer; it rises linearly from 0.
    public var dropPath = 0.0
    /// The number of image channels.
    public var channels = 3

    /// The stem's first convolution has half the first width.
    public var widthUnit: Int { 2 }

    public func makeBackbone(_ scope: Scope, imageSize: (height: Int, width: Int), head: Head) -> any Backbone
    {
      VMamba(scope, self, head: head)
    }

    /// The published network; its names give the expansion and stage 3's depth, as in s1l8.
    ///
    /// - Parameters:
    ///   - depths: layers of each stage.
    ///   - widths: channels of each stage.
    ///   - expansion: the mixer's inner width as a multiple of the stage's.
    public init(depths: [Int], widths: [Int], expansion: Int) {
      self.depths = depths
      self.widths = widths
      mixer.expansion = expansion
    }

    /// The first generation: patches, merging, 16 states and a gate, and no feed-forward layers.
    ///
    /// - Parameters:
    ///   - depths: layers of each stage.
    ///   - widths: channels of each stage.
    /// - Returns: the configuration.
    public static func vanilla(depths: [Int], widths: [Int]) -> Configuration {
      var configuration = Configuration(depths: depths, widths: widths, expansion: 2)
      configuration.stem = .patches
      configuration.downsampling = .merging
      configuration.mixer = Mixer(states: 16, hasBias: true, gate: .silu)
      configuration.feedForward = .none
      return configuration
    }
  }

  /// One entry for each stage.
  public let featureInfo: [FeatureInfo]
  let stem: VMambaStem
  let stages: [Chain<VMambaLayer>]
  let downsamples: [VMambaDownsampling?]
  let outputNorms: [LayerNorm2d]
  let classifier: VMambaClassifier?

  /// Declares the network's parameters under their published keys.
  ///
  /// - Parameters:
  ///   - scope: where they go.
  ///   - configuration: the network.
  ///   - head: what follows the last stage.
  public init(_ scope: Scope, _ configuration: Configuration, head: Head) {
    let (depths, widths) = (configuration.depths, configuration.widths)
    if depths.isEmpty || depths.count != widths.count {
      fatalError("VMamba: expected a depth and a width for each stage, got \(depths) and \(widths)")
    }
    featureInfo = FeatureInfo.pyramid(
      widths, remainder: configuration.stem == .patches ? .droppedByPatches(side: 4) : .kept)
    if configuration.stem == .patches {
      scope.renames("patch_embed.proj", to: "patch_embed.0")
      scope.renames("patch_embed.norm", to: "patch_embed.2")
    }
    stem = VMambaStem(scope["patch_embed"], configuration)
    let rates = configuration.dropPathRates
    var stages: [Chain<VMambaLayer>] = []
    var downsamples: [VMambaDownsampling?] = []
    for (index, width) in widths.enumerated() {
      let place = scope["layers"][index].inStage(index)
      stages.append(
        Chain(place["blocks"], depth: depths[index]) { scope, layer in
          VMambaLayer(scope, configuration, width: width, dropPath: rates[index][layer])
        })
      downsamples.append(
        index + 1 < widths.count
          ? VMambaDownsampling(
            place["downsample"].inStage(index + 1), configuration.downsampling, width, widths[index + 1])
          : nil)
    }
    self.stages = stages
    self.downsamples = downsamples
    switch head {
    case .none:
      outputNorms = []
      classifier = nil
    case .classifier(let classes):
      outputNorms = []
      classifier = VMambaClassifier(scope["classifier"].afterBlocks, widths.last ?? 0, classes: classes)
      for name in ["norm", "head"] { scope.renames(name, to: "classifier.\(name)") }
    case .dense:
      outputNorms = widths.enumerated().map {
        LayerNorm2d(scope["outnorm\($0.offset)"].afterBlocks, $0.element, epsilon: VMamba.epsilon)
      }
      classifier = nil
    }
  }

  /// The epsilon of all norms.
  static let epsilon = 1e-5

  func downsampled(_ map: Tensor, after stage: Int) -> Tensor { downsamples[stage](map) }
}

/// A mixer and, in the second generation, a feed-forward layer, each behind a norm and beside a shortcut.
///
/// Liu et al. (2401.10166), section 4: the VSS block.
struct VMambaLayer: Layer {
  let norm1: LayerNorm2d
  let mixer: VMambaMixer
  let residual1: ScaledResidual
  let feedForward: (norm: LayerNorm2d, layer: LinearFeedForward, residual: ScaledResidual)?

  init(_ scope: Scope, _ configuration: VMamba.Configuration, width: Int, dropPath: Double) {
    func residual(_ index: Int) -> ScaledResidual {
      ScaledResidual(
        scale: nil, dropPath: DropPath(scope["drop_path_\(index)"], rate: dropPath), width)
    }
    scope.renames("ln_1", to: "norm")
    scope.renames("self_attention", to: "op")
    norm1 = LayerNorm2d(scope["norm"], width, epsilon: VMamba.epsilon)
    mixer = VMambaMixer(scope["op"], configuration.mixer, width: width)
    residual1 = residual(1)
    switch configuration.feedForward {
    case .none:
      feedForward = nil
    case .linear(let expansion):
      feedForward = (
        LayerNorm2d(scope["norm2"], width, epsilon: VMamba.epsilon),
        LinearFeedForward(scope["mlp"], width, hidden: expansion * width), residual(2)
      )
    }
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    let y = residual1(x, mixer(norm1(x)))
    guard let (norm, layer, residual) = feedForward else { return y }
    return residual(y, layer(norm(y)))
  }
}

/// The mixer: a projection, a depthwise convolution, SiLU, the scan in four directions, a norm, a gate if there is one,
/// and a projection.
///
/// Liu et al. (2401.10166), section 4. From `[B, C, H, W]` to `[B, C, H, W]`.
struct VMambaMixer: Layer {
  let inner: Int
  let gate: VMamba.Mixer.Gate
  let entry: Linear2d
  let conv: Conv2d
  let scan: Scan2D
  let norm: LayerNorm2d
  let project: Linear2d

  init(_ scope: Scope, _ mixer: VMamba.Mixer, width: Int) {
    let (D, N, R) = (mixer.expansion * width, mixer.states, (width + 15) / 16)
    inner = D
    gate = mixer.gate
    scan = Scan2D(
      scope, projection: scope.parameter("x_proj_weight", [4, R + 2 * N, D], .fanInUniform(D)), channels: D,
      rank: R, states: N)
    norm = LayerNorm2d(scope["out_norm"], D, epsilon: VMamba.epsilon)
    entry = Linear2d(scope["in_proj"], width, gate == .none ? D : 2 * D, bias: false)
    conv = .uniform(
      scope["conv2d"], D, D, kernel: mixer.kernel, groups: D, bias: mixer.hasBias, activation: .silu)
    project = Linear2d(scope["out_proj"], D, width, bias: false)
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    switch gate {
    case .none:
      return project(norm(scan(conv(entry(x)))))
    case .silu:
      let parts = entry(x).split([inner, inner], along: 1)
      return project(norm(scan(conv(parts[0]))) * parts[1].silu())
    }
  }
}

/// Two linear layers over the channels of each position, and GELU between them.
struct LinearFeedForward: Layer {
  let expand: Linear2d
  let project: Linear2d

  init(_ scope: Scope, _ width: Int, hidden: Int) {
    expand = Linear2d(scope["fc1"], width, hidden, activation: .gelu)
    project = Linear2d(scope["fc2"], hidden, width)
  }

  func callAsFunction(_ x: Tensor) -> Tensor { project(expand(x)) }
}

/// Convolutions that make the first map, each with a norm.
struct VMambaStem: Layer {
  let layers: [(conv: Conv2d, norm: LayerNorm2d)]

  init(_ scope: Scope, _ configuration: VMamba.Configuration) {
    let (channels, width) = (configuration.channels, configuration.widths[0])
    func norm(_ index: Int, _ width: Int) -> LayerNorm2d {
      LayerNorm2d(scope[index], width, epsilon: VMamba.epsilon)
    }
    switch configuration.stem {
    case .patches:
      layers = [(.uniform(scope[0], channels, width, kernel: 4, stride: 4, padding: 0), norm(2, width))]
    case .convolutions:
      layers = [
        (.uniform(scope[0], channels, width / 2, kernel: 3, stride: 2), norm(2, width / 2)),
        (.uniform(scope[5], width / 2, width, kernel: 3, stride: 2), norm(7, width)),
      ]
    }
    scope[0].adapts("weight", as: .imageChannels)
  }

  func callAsFunction(_ images: Tensor) -> Tensor {
    layers.enumerated().reduce(images) { x, element in
      let (index, layer) = element
      return layer.norm(layer.conv(index == 0 ? x : x.gelu()))
    }
  }
}

/// What halves a map and changes its width.
enum VMambaDownsampling: Layer {
  case merging(PatchMerging)
  case convolution(Conv2d, LayerNorm2d)

  init(_ scope: Scope, _ downsampling: VMamba.Downsampling, _ inputs: Int, _ outputs: Int) {
    switch downsampling {
    case .merging:
      self = .merging(PatchMerging(scope, inputs, outputs))
    case .convolution:
      self = .convolution(
        .uniform(scope[1], inputs, outputs, kernel: 3, stride: 2),
        LayerNorm2d(scope[3], outputs, epsilon: VMamba.epsilon))
    }
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    switch self {
    case .merging(let merge): merge(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    case .convolution(let conv, let norm): norm(conv(x))
    }
  }
}

/// A norm, the mean over positions and a linear layer.
struct VMambaClassifier: Layer {
  let norm: LayerNorm2d
  let linear: Linear

  init(_ scope: Scope, _ width: Int, classes: Int) {
    norm = LayerNorm2d(scope["norm"], width, epsilon: VMamba.epsilon)
    linear = .classifier(scope["head"], width, classes: classes)
  }

  func callAsFunction(_ x: Tensor) -> Tensor { linear(norm(x).mean(2, 3)) }
}

extension Scan2D {
  /// Declares the operator's parameters beside the given projection, started as the authors of VMamba do.
  ///
  /// - Parameters:
  ///   - scope: where they go.
  ///   - projection: `x_proj_weight`, whose published shape varies.
  ///   - channels: D.
  ///   - rank: R.
  ///   - states: N.
  init(_ scope: Scope, projection: Tensor, channels: Int, rank: Int, states: Int) {
    let directions = 4
    self.init(
      projection: projection,
      deltaWeight: scope.parameter(
        "dt_projs_weight", [directions, channels, rank], .uniform(bound: 1 / Double(rank).squareRoot())),
      deltaBias: scope.parameter("dt_projs_bias", [directions, channels], .inverseSoftplus(0.001...0.1)),
      logA: scope.parameter("A_logs", [directions * channels, states], .logRange),
      skip: scope.parameter("Ds", [directions * channels], .ones), isPrepared: scope.mode.isPrepared,
      dtype: scope.mode.dtype)
  }
}

extension Conv2d {
  /// A convolution that starts uniform in ±1/√fan-in, weight and bias, as PyTorch's do.
  fileprivate static func uniform(
    _ scope: Scope, _ inputs: Int, _ outputs: Int, kernel: Int, stride: Int = 1, padding: Int? = nil,
    groups: Int = 1, bias: Bool = true, activation: Activation? = nil
  ) -> Conv2d {
    let start = Initializer.fanInUniform(inputs / groups * kernel * kernel)
    return Conv2d(
      scope, inputs, outputs, kernel: kernel, stride: stride, padding: padding, groups: groups, bias: bias,
      activation: activation, initializer: start, biasInitializer: start)
  }
}
