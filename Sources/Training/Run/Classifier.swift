public import Backbones
public import Data
public import Foundation
import Layers
public import Torch

/// A class and how probable a model finds it.
public struct ClassProbability: Encodable, Hashable, Sendable {
  /// The name of the class.
  public let name: String
  /// The softmax of its logit, 0...1.
  public let probability: Double
}

/// A trained model that says what pictures show.
public struct Classifier {
  /// The model, in evaluation mode.
  public let model: Model
  /// How pictures become inputs.
  public let input: InputPreparation
  /// The names of the classes, in the order of the logits.
  public let classNames: [String]

  /// A classifier of these parts.
  public init(_ model: Model, input: InputPreparation, classNames: [String]) {
    self.model = model
    self.input = input
    self.classNames = classNames
  }

  /// The classifier in a checkpoint of `ganglion train`.
  ///
  /// - Throws: `CheckpointError`, ``RecipeError`` or `ParameterMismatch` for a file that is none.
  public init(contentsOf file: URL) throws {
    try self.init(Checkpoint(contentsOf: file))
  }

  /// The classifier of a checkpoint.
  ///
  /// - Throws: what ``Checkpoint/makeModel(device:)`` throws.
  public init(_ checkpoint: Checkpoint) throws {
    self.init(try checkpoint.makeModel(), input: checkpoint.input, classNames: checkpoint.classNames)
  }

  /// The `count` most probable classes of a picture, most probable first.
  ///
  /// - Throws: `TorchError` if the model cannot compute, for example for want of memory.
  public func classes(of image: Image, top count: Int) throws -> [ClassProbability] {
    let (values, indices) = try withTorchErrors {
      withoutGradients {
        let top = logits(of: image).softmax(-1).topK(min(count, classNames.count))
        return (top.values.array(Double.self), top.indices.array(Int.self))
      }
    }
    return zip(indices, values).map { ClassProbability(name: classNames[$0], probability: $1) }
  }

  /// The feature maps `[C, H/stride, W/stride]` of a picture, from fine to coarse; `model.backbone.featureInfo` says
  /// which they are.
  ///
  /// - Throws: `TorchError` if the model cannot compute, for example for want of memory.
  public func features(of image: Image) throws -> [Tensor] {
    try withTorchErrors {
      withoutGradients { model.backbone.features(of: batch(of: image)).map { $0.to(.float32)[0] } }
    }
  }

  private func logits(of image: Image) -> Tensor { model.backbone(batch(of: image)).to(.float32)[0] }

  /// The input `[1, C, H, W]` of a picture.
  private func batch(of image: Image) -> Tensor {
    Tensor(input.planes(of: image), [1, input.channels, input.imageSize, input.imageSize])
  }
}
