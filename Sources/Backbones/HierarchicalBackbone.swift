import Layers
import Torch

/// A backbone whose stages follow each other, each on a map of half the size: what its families have in common.
protocol HierarchicalBackbone: Backbone {
  associatedtype StemLayer: Layer
  associatedtype StageLayer: Layer
  associatedtype NormLayer: Layer
  associatedtype ClassifierLayer: Layer

  /// From images to the input of the first stage.
  var stem: StemLayer { get }
  /// From fine to coarse.
  var stages: [StageLayer] { get }
  /// The extra norms of dense prediction, one for each stage; empty without them.
  var outputNorms: [NormLayer] { get }
  /// From the last stage's output to logits.
  var classifier: ClassifierLayer? { get }

  /// The input of the stage after `stage`, whose output is `map`.
  func downsampled(_ map: Tensor, after stage: Int) -> Tensor

  /// A stage's output, or its norm, as `[B, C, H, W]`.
  func channelsFirst(_ map: Tensor) -> Tensor
}

extension HierarchicalBackbone {
  func downsampled(_ map: Tensor, after stage: Int) -> Tensor { map }

  func channelsFirst(_ map: Tensor) -> Tensor { map }

  public func features(of images: Tensor) -> [Tensor] {
    let maps = self.maps(of: images)
    let normed = outputNorms.isEmpty ? maps : zip(outputNorms, maps).map { $0($1) }
    return normed.map(channelsFirst)
  }

  public func callAsFunction(_ images: Tensor) -> Tensor {
    guard let classifier else { return features(of: images).last ?? images }
    guard let last = maps(of: images).last else { return images }
    return OperationCounter.region("head") { classifier(last) }
  }

  /// The stages' outputs.
  private func maps(of images: Tensor) -> [Tensor] {
    let (_, _, H, W) = images.shape4
    let side = featureInfo.last?.stride ?? 1
    require(
      min(H, W) >= side,
      "\(Self.self): images must be at least \(side) by \(side) pixels, got \(H) by \(W); enlarge them first")
    var x = OperationCounter.region("stem") { stem(images) }
    return stages.enumerated().map { index, stage in
      OperationCounter.region("stage\(index + 1)") {
        let map = stage(x)
        x = downsampled(map, after: index)
        return map
      }
    }
  }
}
