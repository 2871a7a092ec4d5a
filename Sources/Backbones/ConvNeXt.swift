public import Layers
import Torch

/// ConvNeXt: a convolutional network in four stages with the proportions of a Transformer.
///
/// Liu et al., "A ConvNet for the 2020s" (2201.03545), section 2.6 and figure 4. The code decides numbers
/// (facebookresearch/ConvNeXt models/convnext.py, under the keys of timm/models/convnext.py 1.0.31):
/// - Note: keys are timm's; the authors' own files hold the same tensors under other names (`downsample_layers`,
///   `dwconv`, `pwconv1`, …), and timm's copies are those to load.
/// - Note: nothing is padded before the strided convolutions, so sizes of maps are rounded down.
/// - Note: norms have an epsilon of 1e-6; the last one follows the mean over positions.
///
/// Letters: B batch, C width of a stage, H, W positions.
public struct ConvNeXt: HierarchicalBackbone {
  /// Everything that defines the network but its head.
  public struct Configuration: BackboneConfiguration {
    /// The layers of each stage.
    public var depths: [Int]
    /// The channels of each stage.
    public var widths: [Int]
    /// The side of the depthwise convolution's window in pixels.
    public var kernel = 7
    /// The hidden width of a block as a multiple of the stage's.
    public var expansion = 4
    /// What the learned scale of a block's branch starts from; `nil` for none.
    ///
    /// Touvron et al., "Going deeper with Image Transformers" (2103.17239), LayerScale.
    public var branchScale: Double? = 1e-6
    /// The drop-path rate of the last layer; it rises linearly from 0.
    public var dropPath = 0.0
    /// The number of image channels.
    public var channels = 3

    /// Any width will do.
    public var widthUnit: Int { 1 }

    /// A network of stages of these depths and widths.
    public init(depths: [Int], widths: [Int]) {
      self.depths = depths
      self.widths = widths
    }

    public func makeBackbone(_ scope: Scope, imageSize: (height: Int, width: Int), head: Head) -> any Backbone
    {
      ConvNeXt(scope, self, head: head)
    }
  }

  /// One entry for each stage.
  public let featureInfo: [FeatureInfo]
  let stem: ConvNeXtStem
  let stages: [ConvNeXtStage]
  let outputNorms: [LayerNorm2d]
  let classifier: ConvNeXtClassifier?

  /// Declares the network's parameters under their published keys.
  ///
  /// - Parameters:
  ///   - scope: where they go.
  ///   - configuration: the network.
  ///   - head: what follows the last stage.
  public init(_ scope: Scope, _ configuration: Configuration, head: Head) {
    let (depths, widths) = (configuration.depths, configuration.widths)
    guard let first = widths.first, let last = widths.last, depths.count == widths.count else {
      fatalError("ConvNeXt: expected as many depths as widths, got \(depths) and \(widths)")
    }
    featureInfo = FeatureInfo.pyramid(widths, remainder: .dropped)
    stem = ConvNeXtStem(scope["stem"], configuration.channels, first)
    let rates = configuration.dropPathRates
    stages = widths.enumerated().map { index, width in
      let place = scope["stages"][index].inStage(index)
      return ConvNeXtStage(
        downsample: index > 0
          ? ConvNeXtDownsample(place["downsample"], widths[index - 1], width) : nil,
        blocks: Chain(place["blocks"], depth: depths[index]) { scope, layer in
          ConvNeXtBlock(scope, width, configuration, dropPath: rates[index][layer])
        })
    }
    switch head {
    case .none:
      outputNorms = []
      classifier = nil
    case .classifier(let classes):
      outputNorms = []
      classifier = ConvNeXtClassifier(scope["head"].afterBlocks, last, classes: classes)
    case .dense:
      // As in the authors' object_detection/mmdet/models/backbones/convnext.py.
      outputNorms = widths.enumerated().map {
        LayerNorm2d(scope["norm\($0.offset)"].afterBlocks, $0.element, epsilon: 1e-6)
      }
      classifier = nil
    }
  }
}

/// Patches of 4x4 pixels, each projected and normalised.
struct ConvNeXtStem: Layer {
  let conv: Conv2d
  let norm: LayerNorm2d

  init(_ scope: Scope, _ channels: Int, _ width: Int) {
    conv = Conv2d(scope[0], channels, width, kernel: 4, stride: 4, padding: 0)
    scope[0].adapts("weight", as: .imageChannels)
    norm = LayerNorm2d(scope[1], width, epsilon: 1e-6)
  }

  func callAsFunction(_ images: Tensor) -> Tensor { norm(conv(images)) }
}

/// What halves the map, but for the first stage, and the blocks.
struct ConvNeXtStage: Layer {
  let downsample: ConvNeXtDownsample?
  let blocks: Chain<ConvNeXtBlock>

  func callAsFunction(_ x: Tensor) -> Tensor { blocks(downsample(x)) }
}

/// A depthwise convolution, a norm, two linear layers and a shortcut.
///
/// Liu et al. (2201.03545), figure 4.
struct ConvNeXtBlock: Layer {
  let scale: Tensor?
  let conv: Conv2d
  let norm: LayerNorm
  let feedForward: FeedForward
  let dropPath: DropPath

  init(_ scope: Scope, _ width: Int, _ configuration: ConvNeXt.Configuration, dropPath: Double) {
    scale = configuration.branchScale.map { scope.parameter("gamma", [width], .constant($0)) }
    conv = Conv2d(scope["conv_dw"], width, width, kernel: configuration.kernel, groups: width)
    norm = LayerNorm(scope["norm"], width, epsilon: 1e-6)
    feedForward = FeedForward(scope["mlp"], width, hidden: configuration.expansion * width)
    self.dropPath = DropPath(scope["drop_path"], rate: dropPath)
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    let branch = feedForward(norm(conv(x).permute(0, 2, 3, 1)))  // [B, H, W, C]
    let scaled = scale.map { branch * $0 } ?? branch
    return x + dropPath(scaled.permute(0, 3, 1, 2))
  }
}

/// A norm and a convolution of windows that do not overlap, to half the size.
struct ConvNeXtDownsample: Layer {
  let norm: LayerNorm2d
  let conv: Conv2d

  init(_ scope: Scope, _ inputs: Int, _ outputs: Int) {
    norm = LayerNorm2d(scope[0], inputs, epsilon: 1e-6)
    conv = Conv2d(scope[1], inputs, outputs, kernel: 2, stride: 2, padding: 0)
  }

  func callAsFunction(_ x: Tensor) -> Tensor { conv(norm(x)) }
}

/// The mean over positions, a norm and a linear layer.
struct ConvNeXtClassifier: Layer {
  let norm: LayerNorm
  let linear: Linear

  init(_ scope: Scope, _ width: Int, classes: Int) {
    norm = LayerNorm(scope["norm"], width, epsilon: 1e-6)
    linear = .classifier(scope["fc"], width, classes: classes)
  }

  func callAsFunction(_ x: Tensor) -> Tensor { linear(norm(x.mean(2, 3))) }
}
