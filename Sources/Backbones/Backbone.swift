public import Layers
public import Torch

/// What a detector or segmentor must know of one feature map.
public struct FeatureInfo: Hashable, Sendable {
  /// The stage's name, for example `stage1`.
  public let name: String
  /// The number of channels.
  public let channels: Int
  /// Pixels of the image per position, in both directions.
  public let stride: Int
  /// What becomes of the pixels at the far edges that do not fill a stride.
  public var remainder = Remainder.kept

  /// What becomes of pixels that do not fill a stride.
  public enum Remainder: Hashable, Sendable {
    /// They get a position: sizes are rounded up.
    case kept
    /// The map ends before them: sizes are rounded down.
    case dropped
    /// Those that fill no patch of that side are dropped, the others kept: sizes in patches are rounded up.
    case droppedByPatches(side: Int)
    /// They are in the last patch: positions are those of patches of that side, a stride apart, that cover the image.
    case keptByPatches(side: Int)
  }

  /// The positions that `pixels` of the image give in one direction.
  public func positions(_ pixels: Int) -> Int {
    switch remainder {
    case .kept: (pixels + stride - 1) / stride
    case .dropped: pixels / stride
    case .keptByPatches(let side): (max(0, pixels - side) + stride - 1) / stride + 1
    case .droppedByPatches(let side): (pixels / side * side + stride - 1) / stride
    }
  }
}

extension FeatureInfo {
  /// The maps of stages of these widths, the first at a quarter of the image, each next one at half of that before.
  static func pyramid(_ widths: [Int], remainder: Remainder = .kept) -> [FeatureInfo] {
    widths.enumerated().map {
      FeatureInfo(
        name: "stage\($0.offset + 1)", channels: $0.element, stride: 4 << $0.offset, remainder: remainder)
    }
  }
}

/// A network from images to logits that also gives its feature maps.
///
/// Letters: B batch, C channels, H height, W width in pixels. Images have 3 channels unless the model was built for
/// others.
public protocol Backbone: Layer {
  /// One entry for each map of ``features(of:)``, from fine to coarse.
  var featureInfo: [FeatureInfo] { get }

  /// The feature maps `[B, C, H/stride, W/stride]` of images `[B, 3, H, W]`.
  func features(of images: Tensor) -> [Tensor]

  /// The logits `[B, classes]` of images `[B, 3, H, W]`, or the last feature map of a model without a classifier.
  func callAsFunction(_ images: Tensor) -> Tensor

  /// The tensors inside the network that published references sample: the feature maps, unless a network without stages
  /// has something finer.
  func intermediates(of images: Tensor) -> [Tensor]

  /// Which layer feeds which, stage by stage; empty for a plain chain.
  var wiring: [Wiring] { get }
}

extension Backbone {
  public var wiring: [Wiring] { [] }

  public func intermediates(of images: Tensor) -> [Tensor] { features(of: images) }
}
