public import Backbones

/// What is known of a published file of weights besides its address.
public struct WeightsFacts: Sendable, Encodable {
  /// `safetensors` or `PyTorch`.
  public let format: String
  /// The dictionary of a PyTorch file that holds the weights, as the path of its keys: the first of these that is there.
  public let dictionaries: [String]
  /// The first digits of the SHA-256 digest, or all, where they are published.
  public let sha256: String?
  /// The licence.
  public let license: String
  /// Whether the licence lets the weights serve commercial ends; absent where none is stated.
  public let allowsCommercialUse: Bool?

  /// What is known of `weights`.
  public init(_ weights: PublishedWeights) {
    format = weights.format.rawValue
    dictionaries = weights.dictionaries
    sha256 = weights.sha256
    license = weights.license.rawValue
    allowsCommercialUse = weights.license.allowsCommercialUse
  }

  /// One line for people.
  public var text: String {
    let places = dictionaries.map { $0.isEmpty ? "the outermost dictionary" : "`\($0)`" }
    let use = allowsCommercialUse == false ? ", no commercial use" : ""
    return
      ([format + (places.isEmpty ? "" : " with the weights in " + places.joined(separator: " or "))]
      + (sha256.map { ["SHA-256 \($0)" + ($0.count < 64 ? "…" : "")] } ?? [])
      + ["licence: \(license)\(use)"]).joined(separator: "; ")
  }
}
