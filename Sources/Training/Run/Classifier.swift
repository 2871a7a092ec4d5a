public import Backbones
public import Data
public import Foundation
import Layers
import Synchronization
public import Torch

/// A class and how probable a model finds it.
public struct ClassProbability: Encodable, Hashable, Sendable {
  /// The class's place in the order of the logits.
  public let index: Int
  /// The name of the class.
  public let name: String
  /// The softmax of its logit, 0...1.
  public let probability: Double
}

/// A trained model that says what pictures show.
public struct Classifier {
  /// The network, in evaluation mode.
  public let backbone: any Backbone
  /// How pictures become inputs.
  public let input: InputPreparation
  /// The names of the classes, in the order of the logits.
  public let classNames: [String]
  /// Where the network's parameters live.
  public let device: Device
  /// The type of matrix products and convolutions by automatic casts; `nil` for that of the parameters.
  public let precision: DType?

  /// A classifier of these parts, prepared for inference where that serves its device and precision.
  ///
  /// - Parameters:
  ///   - model: the model, which may go afterwards.
  ///   - input: how pictures become inputs.
  ///   - classNames: one for each logit.
  ///   - precision: the type of matrix products and convolutions; `nil` for that of the parameters.
  public init(_ model: Model, input: InputPreparation, classNames: [String], precision: DType? = nil) {
    let device = model.store.device
    self.init(
      Self.prepares(for: device, precision)
        ? model.prepared(dtype: device.isCUDA ? precision : nil).backbone : model.backbone, input: input,
      classNames: classNames, device: device, precision: precision)
  }

  /// A classifier of these parts, which runs a network as it is.
  ///
  /// - Parameters:
  ///   - backbone: the network, in evaluation mode.
  ///   - input: how pictures become inputs.
  ///   - classNames: one for each logit.
  ///   - device: where the network's parameters live.
  ///   - precision: the type of matrix products and convolutions by automatic casts; `nil` for that of the parameters.
  public init(
    _ backbone: any Backbone, input: InputPreparation, classNames: [String], device: Device = .cpu,
    precision: DType? = nil
  ) {
    self.backbone = backbone
    self.input = input
    self.classNames = classNames
    self.device = device
    self.precision = precision
  }

  /// Whether a model is folded and packed for inference on a device in a precision.
  public static func prepares(for device: Device, _ precision: DType?) -> Bool {
    // Prepared models on the CPU compute in the type of their weights, so automatic casts need the plain one.
    device.isCUDA || precision == nil
  }

  /// The order of images in memory that the network is fast with.
  public var format: MemoryFormat? { device == .cpu ? nil : .channelsLast }

  private func computing(_ body: (any Backbone) -> Tensor) -> Tensor {
    withoutGradients { withAutocast(precision, on: device) { body(backbone) }.to(.float32) }
  }

  /// The classifier in a checkpoint of `ganglion train`.
  ///
  /// - Parameters:
  ///   - file: the checkpoint.
  ///   - device: where it is to run.
  /// - Throws: `CheckpointError`, ``RecipeError`` or `ParameterMismatch` for a file that is none.
  public init(contentsOf file: URL, device: Device = .cpu) throws {
    try self.init(Checkpoint(contentsOf: file), device: device)
  }

  /// The classifier of a checkpoint.
  ///
  /// - Parameters:
  ///   - checkpoint: the trained model.
  ///   - device: where it is to run.
  /// - Throws: what ``Checkpoint/makeModel(device:)`` throws.
  public init(_ checkpoint: Checkpoint, device: Device = .cpu) throws {
    self.init(
      try checkpoint.makeModel(device: device), input: checkpoint.input, classNames: checkpoint.classNames)
  }

  /// The `count` most probable classes of a picture, most probable first.
  ///
  /// - Throws: `TorchError` if the model cannot compute, for example for want of memory.
  public func classes(of image: Image, top count: Int) throws -> [ClassProbability] {
    let side = input.imageSize
    return try classes(input.planes(of: image), [1, input.channels, side, side], count)[0]
  }

  /// Classifies pictures while the next ones are read.
  ///
  /// At any time `workers` + 2 batches are in memory, however many pictures there are.
  ///
  /// - Parameters:
  ///   - pictures: the pictures.
  ///   - count: the classes wanted for each, most probable first.
  ///   - batchSize: the pictures that the network sees together.
  ///   - workers: threads that read and prepare.
  ///   - body: takes the results of each batch, in the order of the pictures, those that cannot be read with the reason;
  ///     false ends the pass.
  /// - Throws: what `body` throws, or `TorchError` if the model cannot compute.
  nonisolated(nonsending)
    public func classify(
      _ pictures: [PictureSource], top count: Int, batchSize: Int, workers: Int,
      _ body: nonisolated(nonsending) ([PictureResult]) async throws -> Bool
    ) async throws
  {
    let samples = ReadableSamples(pictures: pictures)
    let loader = DataLoader(
      samples, batchSize: max(1, min(batchSize, pictures.count)), preprocessing: input.evaluation,
      order: .sequential)
    for try await batch in loader.epoch(0).batches(workerCount: workers) {
      let failures = batch.indices.map(samples.takeFailure)
      let isComputed = failures.contains { $0 == nil }
      let classes = isComputed ? try classes(batch.pixels, batch.shape, count) : []
      let results = batch.indices.enumerated().map { row, index in
        PictureResult(
          picture: pictures[index], classes: failures[row].map(Result.failure) ?? .success(classes[row]))
      }
      guard try await body(results) else { return }
    }
  }

  private func classes(_ pixels: [Float], _ shape: [Int], _ count: Int) throws -> [[ClassProbability]] {
    let count = min(count, classNames.count)
    let (values, indices) = try withTorchErrors {
      let images = Tensor(pixels, shape).sent(to: device, format: format)
      let top = computing { $0(images) }.softmax(-1).topK(count)
      return (top.values.array(Double.self), top.indices.array(Int.self))
    }
    return (0..<shape[0]).map { row in
      (row * count..<(row + 1) * count).map { place in
        let index = indices[place]
        return ClassProbability(index: index, name: classNames[index], probability: values[place])
      }
    }
  }

  /// The feature maps `[C, H/stride, W/stride]` of a picture, from fine to coarse; `backbone.featureInfo` says which they
  /// are.
  ///
  /// - Throws: `TorchError` if the model cannot compute, for example for want of memory.
  public func features(of image: Image) throws -> [Tensor] {
    let side = input.imageSize
    let pixels = input.planes(of: image)
    return try withTorchErrors {
      let images = Tensor(pixels, [1, input.channels, side, side]).sent(to: device, format: format)
      return withoutGradients {
        withAutocast(precision, on: device) { backbone.features(of: images) }.map { $0.to(.float32)[0] }
      }
    }
  }
}

/// What a model says of a picture.
public struct PictureResult: Sendable {
  /// The picture.
  public let picture: PictureSource
  /// The classes, most probable first, or why the picture could not be read.
  public let classes: Result<[ClassProbability], ImageError>
}

extension InputPreparation {
  /// How the authors prepare pictures for a model of the catalog.
  public init(_ input: ModelInput) {
    let filter: ResizeFilter =
      switch input.interpolation {
      case .bilinear: .bilinear
      case .bicubic: .bicubic
      }
    self.init(
      imageSize: input.size, cropFraction: input.cropFraction, interpolation: filter,
      mean: input.mean.map(Float.init), deviation: input.deviation.map(Float.init))
  }
}

/// Pictures of which those that cannot be read are replaced by a black one, so that the others of their batch go on.
private final class ReadableSamples: Dataset {
  let pictures: [PictureSource]
  private let failures = Mutex<[Int: ImageError]>([:])

  init(pictures: [PictureSource]) { self.pictures = pictures }

  var count: Int { pictures.count }
  var classNames: [String] { [] }

  func sample(at index: Int) -> (image: Image, label: Int) {
    do {
      return (try pictures[index].image(), 0)
    } catch {
      failures.withLock { $0[index] = error }
      return (Image(height: 1, width: 1), 0)
    }
  }

  /// Why the picture could not be read; forgotten once asked for.
  func takeFailure(_ index: Int) -> ImageError? { failures.withLock { $0.removeValue(forKey: index) } }
}
