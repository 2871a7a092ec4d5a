public import Backbones
public import Torch

/// One thing to measure: a model on random images of one size and batch.
public struct BenchmarkCase: Codable, Hashable, Sendable {
  /// What is timed.
  public enum Mode: String, Codable, CaseIterable, Sendable {
    /// A forward pass without gradients, in evaluation mode.
    case inference
    /// A training step: forward pass, cross-entropy, backward pass, AdamW.
    case train
  }

  /// The arithmetic.
  public enum Precision: String, Codable, CaseIterable, Sendable {
    /// Single precision.
    case float32
    /// Matrix products and convolutions in the upper half of single precision, by automatic casts.
    case bfloat16
    /// Matrix products and convolutions in IEEE half precision, by automatic casts.
    case float16
    /// Double precision.
    case float64

    /// The type of the parameters.
    public var parameterType: DType { self == .float64 ? .float64 : .float32 }

    /// The type of automatic casts; `nil` for none.
    public var castType: DType? {
      switch self {
      case .float32, .float64: nil
      case .bfloat16: .bfloat16
      case .float16: .float16
      }
    }
  }

  /// The order of a feature map's elements in memory.
  public enum Layout: String, Codable, CaseIterable, Sendable {
    /// Positions of a channel together.
    case contiguous
    /// Channels of a position together.
    case channelsLast = "channels_last"
  }

  /// The model's published name.
  public var model: String
  /// Rows of the images in pixels.
  public var height: Int
  /// Columns of the images in pixels.
  public var width: Int
  /// Images in a call.
  public var batch: Int
  /// What is timed.
  public var mode = Mode.inference
  /// The arithmetic.
  public var dtype = Precision.float32
  /// The order of feature maps in memory.
  public var layout = Layout.contiguous
  /// The index of the GPU; the CPU if absent.
  public var gpu: Int?
  /// Whether float32 products on a GPU round their operands to TF32.
  public var tf32 = false
  /// Whether calls on a GPU are replays of a recorded graph.
  public var usesGraph = false
  /// Whether inference runs the model as it was trained, without folding and packing its weights.
  public var isPlain = false
  /// The scan kernel: `compiled` or `naive`.
  public var kernel = "compiled"
  /// Threads that operators use; all cores if absent.
  public var threads: Int?
  /// The seconds of calls before those that count, beyond the first call.
  public var warmUp = 1.0
  /// The seconds that calls count for, of at least three; without effect where ``iterations`` are given.
  public var duration = 5.0
  /// The calls that count.
  public var iterations: Int?
  /// The seed of the images and the weights.
  public var seed: UInt64 = 0

  /// A case with the usual settings.
  public init(model: Architecture, height: Int, width: Int, batch: Int) {
    (self.model, self.height, self.width, self.batch) = (model.rawValue, height, width, batch)
  }

  /// Where operators run.
  public var device: Device { gpu.map(Device.cuda) ?? .cpu }

  /// What form of the model is measured: `training`, `plain` or `prepared`, and whether as a graph.
  public var form: String {
    (mode == .train ? "training" : isPlain ? "plain" : "prepared") + (usesGraph ? " graph" : "")
  }

  /// One line: model, size, batch, form.
  public var title: String {
    "\(model) \(height)x\(width), batch \(batch)" + ", \(form)"
  }
}
