extension Reference {
  /// One run of the official code.
  public struct Case: Sendable, Decodable {
    /// The name inside the file.
    public let id: String
    /// What stands in front of every key before it is hashed for the fill.
    public let fillPrefix: String
    /// The images.
    public let input: Input
    /// What was computed.
    public let content: Content

    private enum Keys: String, CodingKey {
      case id, kind
      case fillPrefix = "fill_prefix"
    }

    private enum Kind: String, Decodable { case forward, gradient, train, features }

    public init(from decoder: any Decoder) throws {
      let members = try decoder.container(keyedBy: Keys.self)
      id = try members.decode(String.self, forKey: .id)
      fillPrefix = try members.decode(String.self, forKey: .fillPrefix)
      input = try Input(from: decoder)
      switch try members.decode(Kind.self, forKey: .kind) {
      case .forward: content = .forward(try Forward(from: decoder))
      case .gradient: content = .gradient(try Gradient(from: decoder))
      case .train: content = .train(try Train(from: decoder))
      case .features: content = .features(try Features(from: decoder))
      }
    }
  }

  /// Images filled by key.
  public struct Input: Sendable, Decodable {
    /// The key of the fill.
    public let key: String
    /// `[B, 3, H, W]`.
    public let shape: [Int]
    /// The range of the fill.
    public let lo: Double
    /// The upper end of the range.
    public let hi: Double

    private enum CodingKeys: String, CodingKey {
      case key = "input_key"
      case shape = "input_shape"
      case lo = "input_lo"
      case hi = "input_hi"
    }
  }

  /// What a case computes.
  public enum Content: Sendable {
    /// Logits and stage features in evaluation mode.
    case forward(Forward)
    /// Derivatives in evaluation mode.
    case gradient(Gradient)
    /// Ten steps of AdamW.
    case train(Train)
    /// The feature maps for dense prediction.
    case features(Features)

    /// The kind's name in a file.
    public var kind: String {
      switch self {
      case .forward: "forward"
      case .gradient: "gradient"
      case .train: "train"
      case .features: "features"
      }
    }
  }

  /// Logits and stage features in evaluation mode.
  public struct Forward: Sendable, Decodable {
    /// The logits, row-major.
    public let logits: [Double]
    /// The stage features.
    public let stages: [Sampled]
    /// How far the official code in float32 is from itself in float64.
    public let float32Error: Errors

    /// Relative errors over whole tensors.
    public struct Errors: Sendable, Decodable {
      /// Of the logits.
      public let logits: Double
      /// Of each stage's features.
      public let stages: [Double]
    }

    private enum CodingKeys: String, CodingKey {
      case logits, stages
      case float32Error = "float32_reference_error"
    }
  }

  /// The derivatives of `sum(logits * probe)` in evaluation mode.
  public struct Gradient: Sendable, Decodable {
    /// The key of the probe's fill.
    public let probeKey: String
    /// The range of the probe's fill.
    public let probeLo: Double
    /// The upper end of the range.
    public let probeHi: Double
    /// The value that is differentiated.
    public let loss: Double
    /// The derivatives by each parameter.
    public let parameters: [Parameter]
    /// The derivative by the images.
    public let input: Images

    /// The derivative by one parameter.
    public struct Parameter: Sendable, Decodable {
      /// The parameter.
      public let key: String
      /// The L2 norm; absent where the loss does not depend on the parameter.
      public let norm: Double?
      /// The first eight elements.
      public let first8: [Double]?
    }

    /// The derivative by the images.
    public struct Images: Sendable, Decodable {
      /// The L2 norm.
      public let norm: Double
      /// The first 32 elements.
      public let first32: [Double]
      /// The elements at `i * count / 32`.
      public let strided32: [Double]
    }

    private enum CodingKeys: String, CodingKey {
      case loss
      case probeKey = "probe_key"
      case probeLo = "probe_lo"
      case probeHi = "probe_hi"
      case parameters = "params"
      case input = "input_grad"
    }
  }

  /// Steps of AdamW in training mode, without drop path.
  public struct Train: Sendable, Decodable {
    /// The classes of the classifier.
    public let classes: Int
    /// The class of each image.
    public let labels: [Int]
    /// The optimizer's settings.
    public let optimizer: Optimizer
    /// Entry i is the loss before step i + 1.
    public let losses: [Double]
    /// The same in float32.
    public let float32Losses: [Double]
    /// The logits in evaluation mode after the last step.
    public let logitsAfter: [Double]
    /// The statistics of the first batch normalisation after the last step, if the model has one.
    public let statisticsAfter: Statistics?
    /// Some parameters after the last step.
    public let parametersAfter: [Parameter]
    /// Tensors whose shape differs from the published model's.
    public let overrides: [Entry]

    /// AdamW's settings.
    public struct Optimizer: Sendable, Decodable {
      /// The method; `AdamW` is the only one.
      public let name: Name
      /// The learning rate.
      public let learningRate: Double
      /// The decays of the moments.
      public let betas: [Double]
      /// What is added to the root of the second moment.
      public let epsilon: Double
      /// The weight decay of tensors with two dimensions or more.
      public let matrixDecay: Double
      /// The weight decay of the others.
      public let otherDecay: Double

      /// The known methods.
      public enum Name: String, Sendable, Decodable {
        /// Loshchilov & Hutter (1711.05101).
        case adamW = "AdamW"
      }

      private enum CodingKeys: String, CodingKey {
        case name, betas
        case learningRate = "lr"
        case epsilon = "eps"
        case matrixDecay = "weight_decay_ndim_ge_2"
        case otherDecay = "weight_decay_other"
      }
    }

    /// The running statistics of a batch normalisation.
    public struct Statistics: Sendable, Decodable {
      /// Its place in the model.
      public let module: String
      /// The running mean.
      public let mean: [Double]
      /// The running variance.
      public let variance: [Double]
      /// The number of batches seen.
      public let batches: Int

      private enum CodingKeys: String, CodingKey {
        case module
        case mean = "running_mean"
        case variance = "running_var"
        case batches = "num_batches_tracked"
      }
    }

    /// The start of one parameter.
    public struct Parameter: Sendable, Decodable {
      /// The parameter.
      public let key: String
      /// Its first eight elements.
      public let first8: [Double]
    }

    private enum CodingKeys: String, CodingKey {
      case labels, optimizer, losses
      case classes = "num_classes"
      case float32Losses = "losses_float32_reference"
      case logitsAfter = "eval_logits_after_10_steps"
      case statisticsAfter = "first_batchnorm_after_10_steps"
      case parametersAfter = "parameters_after_10_steps"
      case overrides = "state_overrides"
    }
  }

  /// The feature maps for dense prediction.
  public struct Features: Sendable, Decodable {
    /// Tensors beyond the classifier's, filled by the same rule.
    public let extraState: [Entry]
    /// The feature maps.
    public let stages: [Sampled]
    /// How far the official code in float32 is from itself in float64.
    public let float32Error: Errors

    /// Relative errors over whole tensors.
    public struct Errors: Sendable, Decodable {
      /// Of each stage's features.
      public let stages: [Double]
    }

    private enum CodingKeys: String, CodingKey {
      case stages
      case extraState = "extra_state"
      case float32Error = "float32_reference_error"
    }
  }
}
