import Randomness
public import Data

/// How a picture becomes the input of a trained model; kept with its weights.
public struct InputPreparation: Codable, Hashable, Sendable {
  /// The side of the square input in pixels.
  public var imageSize: Int
  /// The share of the resized picture that the central crop keeps.
  public var cropFraction: Double
  /// The filter of the resizing.
  public var interpolation: ResizeFilter
  /// The means of red, green and blue in 0...1, subtracted; a single one for pictures in greys.
  public var mean: [Float]
  /// The standard deviations of red, green and blue in 0...1, divided by; a single one for pictures in greys.
  public var deviation: [Float]

  /// The numbers that a pixel becomes: 3 for colours, 1 for greys.
  public var channels: Int { mean.count }

  /// What evaluation does to pictures.
  public var evaluation: Preprocessing {
    var preprocessing = Preprocessing.evaluation(
      size: imageSize, cropFraction: cropFraction, filter: interpolation, normalization: normalization)
    preprocessing.transforms = toColors + preprocessing.transforms
    return preprocessing
  }

  /// What turns a picture into the colours that the model sees, before all else.
  var toColors: [any Transform] { channels == 1 ? [Grayscale()] : [] }

  /// A picture's input `[channels, imageSize, imageSize]`.
  public func planes(of image: Image) -> [Float] {
    var unused = CounterRandom(seed: 0)
    return normalization(evaluation.transformed(image, using: &unused))
  }

  var normalization: Normalization {
    if channels == 3 { return Normalization(mean: SIMD3(mean), standardDeviation: SIMD3(deviation)) }
    return Normalization(
      mean: SIMD3(repeating: mean[0]), standardDeviation: SIMD3(repeating: deviation[0])
    ).grayscale
  }

  /// Whether the numbers can be used, which a stranger's file does not promise.
  var isValid: Bool {
    imageSize >= 1 && imageSize <= 1 << 14 && cropFraction > 0 && cropFraction <= 1
      && [1, 3].contains(mean.count) && deviation.count == mean.count && deviation.allSatisfy { $0 > 0 }
  }
}

extension Recipe {
  /// How pictures become inputs in evaluation.
  public var inputPreparation: InputPreparation {
    var statistics: Normalization =
      switch data.normalization {
      case .imagenet: .imageNet
      case .symmetric: .symmetric
      }
    if model.channels == 1 { statistics = statistics.grayscale }
    func list(_ vector: SIMD3<Float>) -> [Float] {
      Array([vector.x, vector.y, vector.z].prefix(statistics.channels))
    }
    return InputPreparation(
      imageSize: data.imageSize, cropFraction: data.cropFraction, interpolation: filter,
      mean: list(statistics.mean), deviation: list(statistics.standardDeviation))
  }

  /// What happens to training pictures.
  public var trainingPreprocessing: Preprocessing {
    let (input, augmentation) = (inputPreparation, data.augmentation)
    var transforms: [any Transform] = []
    switch augmentation.crop {
    case .center:
      transforms = input.evaluation.transforms
    case .shifted:
      transforms = input.evaluation.transforms
      transforms.append(
        RandomPaddedCrop(height: input.imageSize, width: input.imageSize, padding: augmentation.shift))
    case .resized:
      transforms = input.toColors
      transforms.append(
        RandomResizedCrop(
          height: input.imageSize, width: input.imageSize,
          area: augmentation.cropArea[0]...augmentation.cropArea[1],
          aspectRatio: augmentation.cropAspect[0]...augmentation.cropAspect[1], filters: [filter]))
    }
    if augmentation.horizontalFlip > 0 {
      transforms.append(RandomHorizontalFlip(probability: augmentation.horizontalFlip))
    }
    if augmentation.colorJitter > 0 {
      let strength = augmentation.colorJitter
      transforms.append(ColorJitter(brightness: strength, contrast: strength, saturation: strength))
    }
    return Preprocessing(
      transforms, normalization: input.normalization,
      erasing: augmentation.randomErasing > 0 ? RandomErasing(probability: augmentation.randomErasing) : nil)
  }

  private var filter: ResizeFilter {
    switch data.interpolation {
    case .box: .box
    case .bilinear: .bilinear
    case .bicubic: .bicubic
    case .lanczos: .lanczos
    }
  }
}
