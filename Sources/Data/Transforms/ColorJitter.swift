public import Randomness

/// Changes brightness, contrast and saturation by random factors, in random order.
///
/// A strength s draws its factor from 1 - s (at least 0) to 1 + s, as in torchvision's `ColorJitter`.
public struct ColorJitter: Transform, Hashable {
  /// The strength of the change of brightness.
  public var brightness: Double
  /// The strength of the change of contrast.
  public var contrast: Double
  /// The strength of the change of saturation.
  public var saturation: Double

  /// Changes by the given strengths; 0 leaves a property alone.
  public init(brightness: Double, contrast: Double, saturation: Double) {
    guard min(brightness, contrast, saturation) >= 0 else {
      fatalError("Strengths are not negative; got \(brightness), \(contrast), \(saturation).")
    }
    self.brightness = brightness
    self.contrast = contrast
    self.saturation = saturation
  }

  /// The picture in other colours.
  public func callAsFunction(_ image: Image, using random: inout CounterRandom) -> Image {
    let order = random.permutation(3)
    let factors = [brightness, contrast, saturation].map { strength in
      Float(random.uniform(in: max(0, 1 - strength)...(1 + strength)))
    }
    return order.reduce(image) { image, property in
      switch property {
      case 0: brightness == 0 ? image : image.brightnessScaled(by: factors[0])
      case 1: contrast == 0 ? image : image.contrastScaled(by: factors[1])
      default: saturation == 0 ? image : image.saturationScaled(by: factors[2])
      }
    }
  }
}
