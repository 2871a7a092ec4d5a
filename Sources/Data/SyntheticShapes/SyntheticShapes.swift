import Randomness

/// Pictures of textured shapes, drawn on the fly: a set for trying out training with nothing to download.
///
/// The class is the object's ``Shape``. Colours, textures, background, clutter, lighting, noise, position, rotation and
/// size are drawn without regard to it, and all shapes have the same distribution of area, so that a network has to see
/// the outline. Sample i is a function of (seed, split, i).
public struct SyntheticShapes: Dataset, Hashable {
  /// Which of the disjoint streams of pictures.
  public enum Split: UInt64, Sendable, CaseIterable {
    /// Pictures to train on.
    case training
    /// Pictures to judge by.
    case validation
  }

  /// A picture with everything known of it.
  public struct Sample: Hashable, Sendable {
    /// The picture.
    public let image: Image
    /// The class of its object.
    public let shape: Shape
    /// The smallest rectangle around the object's mask.
    public let box: PixelRectangle
    /// 1 where the object covers the pixel's centre, else 0; `[height, width]`.
    public let mask: [UInt8]
  }

  /// The number of samples.
  public let count: Int
  /// Rows and columns of every picture.
  public let imageSize: Int
  /// The stream of pictures.
  public let split: Split
  /// The seed of the whole set.
  public let seed: UInt64

  /// A set of `count` pictures of `imageSize` by `imageSize` pixels, at least 16.
  public init(count: Int, imageSize: Int = 64, split: Split = .training, seed: UInt64 = 0) {
    guard count >= 0, imageSize >= 16 else {
      fatalError("A set of \(count) pictures of \(imageSize) pixels: at least 0 and 16 are needed.")
    }
    self.count = count
    self.imageSize = imageSize
    self.split = split
    self.seed = seed
  }

  /// The names of the shapes.
  public var classNames: [String] { Shape.allCases.map(\.name) }

  /// Draws a picture; classes take turns, so that all are equally frequent.
  public func sample(at index: Int) -> (image: Image, label: Int) {
    let sample = annotatedSample(at: index)
    return (sample.image, sample.shape.rawValue)
  }

  /// Draws a picture together with its object's class, box and mask.
  public func annotatedSample(at index: Int) -> Sample {
    guard (0..<count).contains(index) else { fatalError("Sample \(index) of a set of \(count).") }
    let shape = Shape.allCases[index % Shape.allCases.count]
    var random = CounterRandom(
      seed: seed, RandomPurpose.shapes.rawValue, split.rawValue, UInt64(index))
    let scene = Scene(of: shape, using: &random)
    let (image, mask) = scene.drawn(size: imageSize, using: &random)
    return Sample(
      image: image, shape: shape, box: boundingBox(of: mask, height: imageSize, width: imageSize),
      mask: mask)
  }
}

/// The smallest rectangle around the nonzero elements of a mask `[height, width]`; empty if there are none.
func boundingBox(of mask: [UInt8], height: Int, width: Int) -> PixelRectangle {
  var box = PixelRectangle(left: width, top: height, right: 0, bottom: 0)
  for row in 0..<height {
    for column in 0..<width where mask[row * width + column] != 0 {
      box.left = min(box.left, column)
      box.right = max(box.right, column + 1)
      box.top = min(box.top, row)
      box.bottom = max(box.bottom, row + 1)
    }
  }
  return box.right == 0 ? PixelRectangle(left: 0, top: 0, right: 0, bottom: 0) : box
}
