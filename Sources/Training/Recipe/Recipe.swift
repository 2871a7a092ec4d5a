public import Torch

/// A complete description of a training run: the unit that people share.
///
/// Read from YAML, where names are in snake case (``init(contentsOf:overrides:)``); the values below are the
/// defaults of fields that a file leaves out.
public struct Recipe: Codable, Hashable, Sendable {
  /// The seed of initial weights, sample order, augmentation, mixing and drop path.
  public var seed: UInt64 = 0
  /// Passes over the training samples.
  public var epochs = 10
  /// Samples in a step.
  public var batchSize = 64
  /// Threads that operators use; `null` for all cores. Small maps gain nothing from sharing an operator.
  @Nullable public var threads: Int?
  /// Threads that read and transform pictures; they change no number.
  public var workers = 1
  /// What is learned from.
  public var data = Data()
  /// What is trained.
  public var model = Model()
  /// How parameters are stepped.
  public var optimizer = Optimizer()
  /// How the learning rate changes over the run.
  public var schedule = Schedule()
  /// The share of each target spread evenly over all classes, 0..<1.
  public var labelSmoothing = 0.0
  /// How pictures are mixed with others.
  public var mixing = Mixing()
  /// The decay of the moving average of all weights, per step, such as 0.9998; `null` for no average.
  @Nullable public var emaDecay: Double?
  /// The type of matrix products and convolutions.
  public var precision = Precision.float32
  /// The order of feature maps in memory, which changes speed and last digits; `null` for the faster one:
  /// `channels_last` on a GPU, `contiguous` on a CPU.
  @Nullable public var layout: Layout?
  /// Steps between checkpoints within an epoch; `null` for one at the end of each epoch.
  @Nullable public var checkpointSteps: Int?
  /// Steps between lines of the metrics log.
  public var logSteps = 20

  /// A run of all defaults.
  public init() {}

  /// Where pictures come from and what happens to them.
  public struct Data: Codable, Hashable, Sendable {
    /// The kind of data set.
    public var kind = Kind.embedded
    /// The folder of `imagefolder`: one with `train/` and `val/`, or one of classes with a ``validationFraction``.
    @Nullable public var path: String?
    /// The share of the samples of a folder without `train/` and `val/` that is kept for validation.
    @Nullable public var validationFraction: Double?
    /// Pictures of the embedded training set.
    public var trainingCount = 4000
    /// Pictures of the embedded validation set.
    public var validationCount = 1000
    /// The side of the square input in pixels.
    public var imageSize = 64
    /// The share of the resized picture that evaluation's central crop keeps.
    public var cropFraction = 1.0
    /// The filter of all resizing: `box`, `bilinear`, `bicubic` or `lanczos`.
    public var interpolation = Interpolation.bicubic
    /// The statistics that pixels are normalised by.
    public var normalization = Statistics.imagenet
    /// The memory for decoded pictures, in MiB.
    public var cacheMegabytes = 512
    /// What happens to training pictures only.
    public var augmentation = Augmentation()

    /// A kind of data set.
    public enum Kind: String, Choice {
      /// The shapes that the program draws itself.
      case embedded
      /// Folders of pictures, one a class.
      case imagefolder
    }

    /// Named means and deviations.
    public enum Statistics: String, Choice {
      /// Those of ImageNet's training set.
      case imagenet
      /// From 0...1 to -1...1.
      case symmetric
    }

    /// A filter of resizing.
    public enum Interpolation: String, Choice {
      /// The mean of the covered pixels.
      case box
      /// A triangle.
      case bilinear
      /// Keys' cubic.
      case bicubic
      /// A windowed sinc.
      case lanczos
    }
  }

  /// Random changes of training pictures.
  public struct Augmentation: Codable, Hashable, Sendable {
    /// How the input's square is cut from a picture.
    public var crop = Crop.center
    /// The smallest and largest share of the picture's area that `resized` cuts.
    public var cropArea = [0.08, 1]
    /// The smallest and largest width divided by height that `resized` cuts.
    public var cropAspect = [0.75, 4.0 / 3]
    /// The pixels that `shifted` moves the picture by at most, on each axis.
    public var shift = 4
    /// The chance that a picture is mirrored.
    public var horizontalFlip = 0.0
    /// The strength of changes of brightness, contrast and saturation.
    public var colorJitter = 0.0
    /// The chance that a rectangle is replaced by noise.
    public var randomErasing = 0.0

    /// How the input's square is cut from a picture.
    public enum Crop: String, Choice {
      /// As in evaluation.
      case center
      /// A random part, resized to the input.
      case resized
      /// The evaluation's square, moved by some pixels.
      case shifted
    }
  }

  /// An architecture of the catalog and what is changed in it.
  public struct Model: Codable, Hashable, Sendable {
    /// The published name.
    public var name = "sparx_mamba_micro"
    /// The drop-path rate of the last layer; `null` for the published one.
    @Nullable public var dropPath: Double?
    /// Layers of each stage; `null` for the published ones.
    @Nullable public var depths: [Int]?
    /// Channels of each stage; `null` for the published ones.
    @Nullable public var widths: [Int]?
    /// The number of classes; `null` for as many as the data have. Those beyond the data's are called `class k`.
    @Nullable public var classes: Int?
    /// The colours of a picture that the model sees: 3 for red, green and blue, 1 for luminance.
    public var channels = 3
    /// The file of the weights to start from: an author's or one of `ganglion train`; `published` for those that the
    /// model's authors publish, once they are fetched; `null` to start afresh.
    @Nullable public var pretrained: String?
    /// Which dictionary of ``pretrained`` holds the weights, where the file has several; `null` for the usual one.
    @Nullable public var pretrainedKey: String?
    /// Which parameters keep their values: keys in which `*` stands for any text, dots included, and `?` for one
    /// character, such as `patch_embed.*` or `*.norm.*`.
    public var freeze: [String] = []
    /// Whether layers compute their forward pass again in the backward pass, which saves memory.
    public var checkpointing = false
  }

  /// AdamW and the limit of its gradients.
  public struct Optimizer: Codable, Hashable, Sendable {
    /// The learning rate after warm-up, for the batch size as given.
    public var learningRate = 1e-3
    /// What the learning rate is multiplied by for each block between a parameter and the head; 1 for the same rate
    /// everywhere. Fine-tuning takes 0.65 to 0.9, so that the first layers change least.
    public var layerDecay = 1.0
    /// The decay of the running means of gradients and of their squares.
    public var betas = [0.9, 0.999]
    /// What is added to the denominator.
    public var epsilon = 1e-8
    /// The decoupled weight decay of parameters with two or more dimensions that are no biases.
    public var weightDecay = 0.05
    /// The largest joint norm of all gradients; `null` for no limit.
    @Nullable public var clipNorm: Double?
  }

  /// A linear warm-up and a cosine, both by step.
  public struct Schedule: Codable, Hashable, Sendable {
    /// The epochs of the warm-up; parts of an epoch count.
    public var warmupEpochs = 1.0
    /// The learning rate of the first step, if there is a warm-up.
    public var warmupLearningRate = 1e-6
    /// The learning rate that the cosine ends at.
    public var minLearningRate = 1e-5
  }

  /// Mixup and CutMix of whole batches, as timm's mode `batch`.
  public struct Mixing: Codable, Hashable, Sendable {
    /// The α of mixup's Beta(α, α); 0 for none.
    public var mixup = 0.0
    /// The α of CutMix's Beta(α, α); 0 for none.
    public var cutmix = 0.0
    /// The share of batches that are mixed.
    public var probability = 1.0
    /// The share of mixed batches that CutMix gets when both are on.
    public var switchProbability = 0.5
  }

  /// The type of matrix products and convolutions; parameters are float32.
  public enum Precision: String, Choice {
    /// Single precision throughout.
    case float32
    /// The upper half of single precision, by automatic casts.
    case bfloat16
    /// IEEE half precision, by automatic casts, with a ``LossScale``.
    case float16

    /// The type of automatic casts; `nil` for none.
    public var castType: DType? {
      switch self {
      case .float32: nil
      case .bfloat16: .bfloat16
      case .float16: .float16
      }
    }
  }

  /// The order of a feature map's elements in memory.
  public enum Layout: String, Choice {
    /// Positions of a channel together.
    case contiguous
    /// Channels of a position together.
    case channelsLast = "channels_last"
  }
}

extension Recipe {
  /// The order of feature maps in memory on a device; `nil` for positions of a channel together.
  public func memoryFormat(on device: Device) -> MemoryFormat? {
    switch layout {
    case .contiguous: nil
    case .channelsLast: .channelsLast
    case nil: device == .cpu ? nil : .channelsLast
    }
  }
}
