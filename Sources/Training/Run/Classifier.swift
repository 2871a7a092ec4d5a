public import Backbones
public import Data
import Layers
import Torch

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

  /// The classifier of a checkpoint.
  ///
  /// - Throws: what ``Checkpoint/makeModel(device:)`` throws.
  public init(_ checkpoint: Checkpoint) throws {
    self.init(try checkpoint.makeModel(), input: checkpoint.input, classNames: checkpoint.classNames)
  }

  /// The `count` most probable classes of a picture, most probable first.
  ///
  /// - Throws: `TorchError` if the model cannot compute, for example for want of memory.
  public func classes(of image: Image, _ count: Int) throws -> [ClassProbability] {
    let (values, indices) = try withTorchErrors {
      withoutGradients {
        let top = logits(of: image).softmax(-1).topK(min(count, classNames.count))
        return (top.values.array(Double.self), top.indices.array(Int.self))
      }
    }
    return zip(indices, values).map { ClassProbability(name: classNames[$0], probability: $1) }
  }

  private func logits(of image: Image) -> Tensor {
    let shape = [1, input.channels, input.imageSize, input.imageSize]
    return model.backbone(Tensor(input.planes(of: image), shape)).to(.float32)[0]
  }
}
