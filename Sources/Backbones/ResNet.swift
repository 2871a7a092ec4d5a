public import Layers
import Torch

/// ResNet: bottleneck blocks with shortcuts in four stages.
///
/// He et al., "Deep Residual Learning for Image Recognition" (1512.03385), table 1, figure 5 right. The code that is in
/// use (pytorch/vision torchvision/models/resnet.py, whose keys timm shares) decides numbers; where it differs from the
/// paper:
/// - Note: the first block of stages 2 to 4 takes its stride in the 3x3 convolution, not in the 1x1 before it
///   ("ResNet v1.5").
/// - Note: drop path is timm's addition; the published weights were trained without it.
///
/// Dense prediction uses the maps as they are, so its head declares nothing.
///
/// Letters: B batch, C width of a stage, H, W positions.
public struct ResNet: HierarchicalBackbone {
  /// Everything that defines the network but its head.
  public struct Configuration: BackboneConfiguration {
    /// The layers of each stage.
    public var depths: [Int]
    /// The channels of each stage; inside a block there are a quarter as many, as there are before the first stage.
    public var widths: [Int]
    /// The drop-path rate of the last layer; it rises linearly from 0.
    public var dropPath = 0.0
    /// The number of image channels.
    public var channels = 3

    /// A bottleneck has a quarter of the channels.
    public var widthUnit: Int { 4 }

    /// A network of stages of these depths and widths.
    public init(depths: [Int], widths: [Int]) {
      self.depths = depths
      self.widths = widths
    }

    public func makeBackbone(_ scope: Scope, imageSize: (height: Int, width: Int), head: Head) -> any Backbone
    {
      ResNet(scope, self, head: head)
    }
  }

  /// One entry for each stage.
  public let featureInfo: [FeatureInfo]
  let stem: ResNetStem
  let stages: [Chain<Bottleneck>]
  let classifier: ResNetClassifier?

  /// Declares the network's parameters under their published keys.
  ///
  /// - Parameters:
  ///   - scope: where they go.
  ///   - configuration: the network.
  ///   - head: what follows the last stage.
  public init(_ scope: Scope, _ configuration: Configuration, head: Head) {
    let (depths, widths) = (configuration.depths, configuration.widths)
    guard let first = widths.first, let last = widths.last, depths.count == widths.count else {
      fatalError("ResNet: expected as many depths as widths, got \(depths) and \(widths)")
    }
    featureInfo = FeatureInfo.pyramid(widths)
    stem = ResNetStem(
      conv: .started(
        conv: scope["conv1"], norm: scope["bn1"], configuration.channels, first / 4, kernel: 7, stride: 2,
        activation: .relu))
    scope["conv1"].adapts("weight", as: .imageChannels)
    let rates = configuration.dropPathRates
    stages = depths.indices.map { stage in
      let before = stage > 0 ? widths[stage - 1] : first / 4
      return Chain(scope["layer\(stage + 1)"].inStage(stage), depth: depths[stage]) { scope, layer in
        Bottleneck(
          scope, layer == 0 ? before : widths[stage], widths[stage],
          stride: stage > 0 && layer == 0 ? 2 : 1, dropPath: rates[stage][layer])
      }
    }
    switch head {
    case .none, .dense: classifier = nil
    case .classifier(let classes):
      classifier = ResNetClassifier(scope["fc"].afterBlocks, last, classes: classes)
    }
  }

  var outputNorms: [LayerNorm2d] { [] }
}

/// A strided convolution and the largest of 3x3 positions, from an image to a map at a quarter of its size.
///
/// He et al. (1512.03385), table 1: conv1 and the pooling before conv2.
struct ResNetStem: Layer {
  let conv: ConvNorm

  func callAsFunction(_ images: Tensor) -> Tensor { conv(images).maxPool2d(kernel: 3, stride: 2, padding: 1) }
}

/// A 1x1, a 3x3 and a 1x1 convolution at a quarter of the width, and a shortcut, which is projected where sizes differ.
///
/// He et al. (1512.03385), figure 5 right, with projections as option B of section 3.3.
struct Bottleneck: Layer {
  let reduce: ConvNorm
  let conv: ConvNorm
  let expand: ConvNorm
  let shortcut: ConvNorm?
  let dropPath: DropPath

  init(_ scope: Scope, _ inputs: Int, _ width: Int, stride: Int, dropPath: Double) {
    let inner = width / 4
    reduce = .started(
      conv: scope["conv1"], norm: scope["bn1"], inputs, inner, kernel: 1, activation: .relu)
    conv = .started(
      conv: scope["conv2"], norm: scope["bn2"], inner, inner, kernel: 3, stride: stride, activation: .relu)
    expand = .started(conv: scope["conv3"], norm: scope["bn3"], inner, width, kernel: 1)
    shortcut =
      stride > 1 || inputs != width
      ? .started(
        conv: scope["downsample.0"], norm: scope["downsample.1"], inputs, width, kernel: 1, stride: stride)
      : nil
    self.dropPath = DropPath(scope["drop_path"], rate: dropPath)
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    (shortcut(x) + dropPath(expand(conv(reduce(x))))).relu()
  }
}

/// The mean over positions and a linear layer.
struct ResNetClassifier: Layer {
  let linear: Linear

  init(_ scope: Scope, _ width: Int, classes: Int) {
    linear = .classifier(scope, width, classes: classes)
  }

  func callAsFunction(_ x: Tensor) -> Tensor { linear(x.mean(2, 3)) }
}

extension ConvNorm {
  /// A convolution that starts as He et al., "Delving Deep into Rectifiers" (1502.01852), section 2.2, backward case.
  fileprivate static func started(
    conv: Scope, norm: Scope, _ inputs: Int, _ outputs: Int, kernel: Int, stride: Int = 1,
    activation: Activation? = nil
  ) -> ConvNorm {
    let deviation = (2 / Double(kernel * kernel * outputs)).squareRoot()
    return ConvNorm(
      conv: conv, norm: norm, inputs, outputs, kernel: kernel, stride: stride, activation: activation,
      initializer: .truncatedNormal(deviation: deviation))
  }
}
