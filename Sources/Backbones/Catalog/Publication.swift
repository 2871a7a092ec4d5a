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
  /// The dictionary that holds the weights, where the file's is not one of the usual names; `nil` for those.
  public var dictionary: String?
  /// The digest of the file in hexadecimal digits, where it is published.
  public var sha256: String?
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
    /// NVIDIA's for MambaVision: no commercial use.
    case nvidiaNonCommercial = "NVIDIA Source Code License-NC"
    /// CC BY-NC-SA 4.0: no commercial use.
    case ccByNcSa4 = "CC-BY-NC-SA-4.0"
    /// The authors name none, so the usual copyright holds.
    case none = "none stated"
  }

  /// A file at `url`.
  public init(_ url: String, dictionary: String? = nil, sha256: String? = nil, license: License) {
    self.url = url
    self.dictionary = dictionary
    self.sha256 = sha256
    self.license = license
  }
}
