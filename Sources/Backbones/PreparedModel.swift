import Layers
import Torch

/// A backbone folded and packed for inference, by ``Model/prepared(dtype:)``.
public struct PreparedModel {
  /// What it was built from.
  public let architecture: Architecture
  /// The network.
  public let backbone: any Backbone

  /// What computes a prepared model, for people.
  public static var kernels: String {
    "products by \(hasPackedProducts ? "oneDNN" : "LibTorch"), maps by our kernels (\(Engine.scanCapability))"
  }

  init(_ architecture: Architecture, _ backbone: any Backbone, device: Device, dtype: DType?) {
    self.architecture = architecture
    self.backbone =
      device.isCUDA
      ? CastBackbone(whole: backbone, device: device, dtype: dtype) : SlicedBackbone(whole: backbone)
  }
}

/// A backbone whose layers compute in a half-width type: those that hold nothing of their own in it by automatic casts.
private struct CastBackbone: Backbone {
  let whole: any Backbone
  let device: Device
  let dtype: DType?

  var featureInfo: [FeatureInfo] { whole.featureInfo }
  var wiring: [Wiring] { whole.wiring }

  private func cast<Result>(_ body: () -> Result) -> Result {
    guard let dtype else { return body() }
    return withAutocast(dtype, on: device, body)
  }

  func features(of images: Tensor) -> [Tensor] { cast { whole.features(of: images) } }

  func intermediates(of images: Tensor) -> [Tensor] { cast { whole.intermediates(of: images) } }

  func callAsFunction(_ images: Tensor) -> Tensor { cast { whole(images) } }
}

/// A backbone that takes a batch a few images at a time, so that their maps stay in the processor's caches.
///
/// Images do not see each other outside training, so the result is the same.
private struct SlicedBackbone: Backbone {
  let whole: any Backbone

  var featureInfo: [FeatureInfo] { whole.featureInfo }
  var wiring: [Wiring] { whole.wiring }

  /// The pixels of a slice: one image of the usual size, whose widest maps take a few megabytes.
  private static let pixels = 224 * 224

  private func slices(_ images: Tensor) -> [Tensor] {
    let (B, _, H, W) = images.shape4
    let count = max(1, Self.pixels / max(1, H * W))
    return stride(from: 0, to: B, by: count).map { images.narrow(0, from: $0, length: min(count, B - $0)) }
  }

  func features(of images: Tensor) -> [Tensor] {
    let slices = slices(images)
    if slices.count <= 1 { return whole.features(of: images) }
    let maps = slices.map { whole.features(of: $0) }
    return featureInfo.indices.map { index in concatenate(maps.map { $0[index] }, along: 0) }
  }

  func intermediates(of images: Tensor) -> [Tensor] { whole.intermediates(of: images) }

  func callAsFunction(_ images: Tensor) -> Tensor {
    let slices = slices(images)
    if slices.count <= 1 { return whole(images) }
    return concatenate(slices.map { whole($0) }, along: 0)
  }
}
