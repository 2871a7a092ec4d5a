public import Layers
import Scan
public import Torch

/// Vision Mamba (Vim): tokens of an image mixed by selective scans in both directions, without attention.
///
/// Zhu et al., "Vision Mamba: Efficient Visual Representation Learning with Bidirectional State Space Model"
/// (2401.09417), section 3, algorithm 1. The authors' code (hustvl/Vim vim/models_mamba.py at dd0358a, with their
/// mamba_simple.py) decides numbers; where it differs from the paper:
/// - Note: the two directions are averaged, where algorithm 1 adds them.
/// - Note: the scan has the skip coefficient D of Mamba, which algorithm 1 leaves out, and the input projection no bias.
/// - Note: the norm is a division by the root mean square.
/// - Note: the code hands each block its predecessor's output and the sum before it as two tensors, to add and normalise
///   in one kernel. It is the usual shortcut, drop path included.
/// - Note: images of another size get the table of positions by an antialiased bicubic filter, as in timm; the authors'
///   code has one size for each model.
///
/// Letters: B batch, C width, D inner width of the mixer, N states, R rank of the time step, L tokens, H, W pixels.
public struct VisionMamba: Backbone {
  /// Which ways a mixer scans the tokens.
  public enum Directions: Hashable, Sendable {
    /// From first to last.
    case forward
    /// Both, averaged (published).
    case averaged
    /// Both, added.
    case summed
  }

  /// What the classifier reads.
  public enum Readout: Hashable, Sendable {
    /// A class token in the middle of the others (published).
    case middleToken
    /// A class token before the others.
    case firstToken
    /// The mean of two class tokens, one before the others and one after them.
    case endTokens
    /// The last position.
    case lastPosition
    /// The mean over positions.
    case mean
    /// The largest logit of all positions, class by class.
    case maximum

    var classTokens: PositionGrid.Extra {
      switch self {
      case .middleToken: .middle
      case .firstToken: .leading(1)
      case .endTokens: .ends
      case .lastPosition, .mean, .maximum: .none
      }
    }
  }

  /// Everything that defines the network but its head.
  public struct Configuration: BackboneConfiguration {
    /// The number of blocks.
    public var depth: Int
    /// The channels of a token.
    public var width: Int
    /// The side of a patch in pixels.
    public var patch = 16
    /// Pixels between patches. Vim+ has 8, half a patch, and so one row and one column less than H/8 by W/8.
    public var stride = 16
    /// Which ways the mixers scan.
    public var directions = Directions.averaged
    /// What the classifier reads.
    public var readout = Readout.middleToken
    /// The states of each channel.
    public var states = 16
    /// The mixer's inner width as a multiple of the width.
    public var expansion = 2
    /// The tokens that the causal convolution sees.
    public var kernel = 4
    /// The drop-path rate of the last block; it rises linearly from 0.
    public var dropPath = 0.0
    /// The number of image channels.
    public var channels = 3

    /// The number of blocks: one stage.
    public var depths: [Int] {
      get { [depth] }
      set { depth = newValue[0] }
    }
    /// The channels of a token: one stage.
    public var widths: [Int] {
      get { [width] }
      set { width = newValue[0] }
    }
    /// Any width will do.
    public var widthUnit: Int { 1 }

    public func makeBackbone(_ scope: Scope, imageSize: (height: Int, width: Int), head: Head) -> any Backbone
    {
      VisionMamba(scope, self, imageSize: imageSize, head: head)
    }

    /// A network of that depth and width.
    public init(depth: Int = 24, width: Int) {
      self.depth = depth
      self.width = width
    }
  }

  /// One entry: the positions after the last block and the norm.
  public let featureInfo: [FeatureInfo]
  let embedding: TokenEmbedding
  let layers: Chain<VisionMambaBlock>
  let norm: RMSNorm
  let classifier: Linear?
  let readout: Readout

  /// Declares the network's parameters under their published keys.
  ///
  /// - Parameters:
  ///   - scope: where they go.
  ///   - configuration: the network.
  ///   - imageSize: height and width of the images that the table of positions is for, in pixels.
  ///   - head: what follows the last block.
  public init(
    _ scope: Scope, _ configuration: Configuration, imageSize: (height: Int, width: Int), head: Head
  ) {
    let width = configuration.width
    readout = configuration.readout
    featureInfo = [
      FeatureInfo(
        name: "stage1", channels: width, stride: configuration.stride,
        remainder: .keptByPatches(side: configuration.patch))
    ]
    let area = configuration.channels * configuration.patch * configuration.patch
    embedding = TokenEmbedding(
      scope, channels: configuration.channels, width: width, patch: configuration.patch,
      stride: configuration.stride, imageSize: imageSize, extra: readout.classTokens,
      initializer: .truncatedNormal(deviation: 1 / Double(area).squareRoot()))
    switch head {
    case .none, .dense: classifier = nil
    case .classifier(let classes):
      classifier = .classifier(scope["head"].afterBlocks, width, classes: classes)
    }
    let rates = configuration.dropPathRates[0]
    layers = Chain(scope["layers"], depth: configuration.depth) { scope, index in
      VisionMambaBlock(scope, configuration, dropPath: rates[index])
    }
    norm = RMSNorm(scope["norm_f"].afterBlocks, width)
  }

  public func features(of images: Tensor) -> [Tensor] {
    let (tokens, grid) = tokens(of: images)
    return [grid.map(of: tokens)]
  }

  /// Of the last block of each quarter what its mixer gives and what that is added to, both `[B, L, C]`.
  public func intermediates(of images: Tensor) -> [Tensor] {
    let embedded = embedding(images).tokens
    let sums = [embedded] + layers.outputs(of: embedded)
    let ends: [Int] = (1...4).map { layers.layers.count * $0 / 4 }.filter { $0 > 0 }
    return ends.flatMap { [sums[$0] - sums[$0 - 1], sums[$0 - 1]] }
  }

  public func callAsFunction(_ images: Tensor) -> Tensor {
    let (tokens, grid) = tokens(of: images)
    guard let classifier else { return grid.map(of: tokens) }
    return OperationCounter.region("head") {
      switch readout {
      case .middleToken, .firstToken, .endTokens:
        return classifier((grid.extras(of: tokens) ?? tokens).mean(1))
      case .lastPosition: return classifier(tokens[..., -1])
      case .mean: return classifier(tokens.mean(1))
      case .maximum: return classifier(tokens).max(1)
      }
    }
  }

  /// The tokens `[B, L, C]` after the last block and the norm.
  private func tokens(of images: Tensor) -> (Tensor, PositionGrid) {
    let (tokens, grid) = OperationCounter.region("stem") { embedding(images) }
    return (OperationCounter.region("stage1") { norm(layers(tokens)) }, grid)
  }
}

/// A mixer with a norm before it and a shortcut around both.
struct VisionMambaBlock: Layer {
  let norm: RMSNorm
  let mixer: BidirectionalMixer
  let dropPath: DropPath

  init(_ scope: Scope, _ configuration: VisionMamba.Configuration, dropPath: Double) {
    mixer = BidirectionalMixer(scope["mixer"], configuration)
    norm = RMSNorm(scope["norm"], configuration.width)
    self.dropPath = DropPath(scope["drop_path"], rate: dropPath)
  }

  func callAsFunction(_ x: Tensor) -> Tensor { x + dropPath(mixer(norm(x))) }
}

/// Division by the root mean square over the last dimension, and a learned factor.
///
/// Zhang & Sennrich (1910.07467).
struct RMSNorm: Layer {
  let weight: Tensor

  init(_ scope: Scope, _ channels: Int) { weight = scope.parameter("weight", [channels], .ones) }

  func callAsFunction(_ x: Tensor) -> Tensor { x.rmsNorm(weight.shape, weight: weight, epsilon: 1e-5) }
}

/// The Vim block's mixer: one projection to input and gate, a gated scan each way, and a projection of what they give.
///
/// Algorithm 1. From `[B, L, C]` to `[B, L, C]`.
struct BidirectionalMixer: Layer {
  let expand: Linear
  let scan: BidirectionalScan
  let project: Linear

  init(_ scope: Scope, _ configuration: VisionMamba.Configuration) {
    let width = configuration.width
    let inner = configuration.expansion * width
    expand = Linear(scope["in_proj"], width, 2 * inner, bias: false, initializer: .fanInUniform(width))
    scan = BidirectionalScan(
      scope, configuration.directions, channels: inner, states: configuration.states,
      rank: (width + 15) / 16, kernel: configuration.kernel)
    // Each block adds to the same sum, so its last projection starts smaller the more blocks there are.
    project = Linear(
      scope["out_proj"], inner, width, bias: false,
      initializer: .fanInUniform(inner * configuration.depth))
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    let parts = expand(x).transpose(1, 2).chunk(2, along: 1)  // [B, D, L] each
    return project(scan(parts[0], gate: parts[1]).transpose(1, 2))
  }
}

/// A scan from first to last and, unless ``VisionMamba/Directions/forward``, another back, with parameters of its own.
///
/// From input and gate `[B, D, L]` to `[B, D, L]`.
struct BidirectionalScan {
  let forward: CausalScan
  let backward: CausalScan?
  let share: Double

  /// Scans of D channels, N states and time steps of rank R; without a convolution if `kernel` is `nil`.
  init(
    _ scope: Scope, _ directions: VisionMamba.Directions, channels: Int, states: Int, rank: Int, kernel: Int?
  ) {
    func scan(_ suffix: String) -> CausalScan {
      CausalScan(scope, channels: channels, states: states, rank: rank, kernel: kernel, suffix: suffix)
    }
    forward = scan("")
    backward = directions == .forward ? nil : scan("_b")
    share = directions == .averaged ? 0.5 : 1
  }

  func callAsFunction(_ x: Tensor, gate: Tensor?) -> Tensor {
    let y = forward(x, gate: gate)
    guard let backward else { return y }
    return (y + backward(x.flip(2), gate: gate?.flip(2)).flip(2)) * share
  }
}

/// Mamba's inner function: a causal depthwise convolution, SiLU and the gated selective scan with its projections.
///
/// Gu & Dao, "Mamba" (2312.00752), section 3.4. From input and gate `[B, D, L]` to `[B, D, L]`.
struct CausalScan {
  let convolution: (weight: Tensor, bias: Tensor)?
  let projection: Linear
  let deltaWeight: Tensor
  let deltaBias: Tensor
  let logA: Tensor
  let skip: Tensor

  init(_ scope: Scope, channels D: Int, states N: Int, rank R: Int, kernel: Int?, suffix: String) {
    logA = scope.parameter("A\(suffix)_log", [D, N], .logRange)
    skip = scope.parameter("D\(suffix)", [D], .ones)
    let place = scope["conv1d\(suffix)"]
    convolution = kernel.map {
      (
        place.parameter("weight", [D, 1, $0], .fanInUniform($0)),
        place.parameter("bias", [D], .fanInUniform($0))
      )
    }
    projection = Linear(
      scope["x_proj\(suffix)"], D, R + 2 * N, bias: false, initializer: .fanInUniform(D))
    let delta = scope["dt_proj\(suffix)"]
    deltaWeight = delta.parameter("weight", [D, R], .fanInUniform(R))
    deltaBias = delta.parameter("bias", [D], .inverseSoftplus(0.001...0.1))
  }

  func callAsFunction(_ x: Tensor, gate: Tensor?) -> Tensor {
    let (D, R) = deltaWeight.shape2
    let N = logA.size(1)
    let convolved =
      convolution.map { weight, bias in
        x.padded([weight.size(2) - 1, 0]).conv1d(weight, bias: bias, groups: D)
      } ?? x
    let u = convolved.silu()
    let parts = projection(u.transpose(1, 2)).split([R, N, N], along: 2)  // [B, L, R | N | N]
    let scan = SelectiveScan(
      u: u, delta: parts[0].linear(deltaWeight).transpose(1, 2),
      a: -logA.to(u.dtype == .float64 ? .float64 : .float32).exp(),
      b: parts[1].transpose(1, 2).unsqueeze(1), c: parts[2].transpose(1, 2).unsqueeze(1), d: skip, z: gate,
      deltaBias: deltaBias, softplus: true)
    return scan().y
  }
}
