/// What is known of a published model.
public struct Publication: Hashable, Sendable {
  /// The paper's arXiv number.
  public let paper: String
  /// The authors' weights, if they publish any.
  public let weights: PublishedWeights?
  /// The authors' ImageNet-1K top-1 accuracy in percent.
  public let top1: Double?
  /// The authors' rounded figures, if they print any.
  public let reported: ReportedCounts?

  init(paper: String, weights: PublishedWeights?, top1: Double?, reported: ReportedCounts?) {
    self.paper = paper
    self.weights = weights
    self.top1 = top1
    self.reported = reported
  }
}

/// The size of a model as its authors print it.
public struct ReportedCounts: Hashable, Sendable {
  /// Parameters in millions.
  public let parameters: Double
  /// Multiply-adds in billions, if they are printed; often as FLOPs.
  public let multiplyAdds: Double?
}

/// A file of weights on its authors' pages.
public struct PublishedWeights: Hashable, Sendable {
  /// Where it is.
  public let url: String
  /// Which of a PyTorch file's dictionaries holds the weights, as the path of its keys: the first of these that the file
  /// has, in the order in which the authors' code looks for them. Empty for the outermost dictionary.
  public let dictionaries: [String]
  /// The first hexadecimal digits of the file's SHA-256 digest, or all 64, where the authors publish them; file names as
  /// PyTorch's hub makes them end in the first eight.
  public let sha256: String?
  /// What the weights may be used for.
  public let license: License

  /// A licence.
  public enum License: String, Hashable, Sendable {
    /// The Apache License 2.0.
    case apache2 = "Apache-2.0"
    /// The MIT License.
    case mit = "MIT"
    /// The 3-clause BSD License.
    case bsd3 = "BSD-3-Clause"
    /// CC BY-NC-SA 4.0: no commercial use.
    case ccByNcSa4 = "CC-BY-NC-SA-4.0"
    /// The authors name none, so the usual copyright holds.
    case none = "none stated"

    /// Whether it lets weights serve commercial ends; `nil` where the authors say nothing.
    public var allowsCommercialUse: Bool? {
      switch self {
      case .apache2, .mit, .bsd3: true
      case .ccByNcSa4: false
      case .none: nil
      }
    }

    /// What it asks of who uses the weights, in one sentence for people.
    public var sentence: String {
      switch self {
      case .apache2, .mit, .bsd3: "the weights are under the licence \(rawValue)"
      case .ccByNcSa4:
        "the weights are under the licence CC BY-NC-SA 4.0: NO COMMERCIAL USE, and what is made of them must be shared alike"
      case .none:
        "the authors state no licence of the weights: the usual copyright holds, so ask them what they allow"
      }
    }
  }

  /// How a file of weights is written.
  public enum Format: String, Hashable, Sendable {
    /// A safetensors file.
    case safeTensors = "safetensors"
    /// What `torch.save` writes.
    case pyTorch = "PyTorch"
  }

  /// A file at `url`.
  public init(_ url: String, dictionaries: [String] = [], sha256: String? = nil, license: License) {
    self.url = url
    self.dictionaries = dictionaries
    self.sha256 = sha256
    self.license = license
  }

  /// How the file is written, by its name.
  public var format: Format { url.hasSuffix(".safetensors") ? .safeTensors : .pyTorch }
}
