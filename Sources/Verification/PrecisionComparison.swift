import Backbones
import Foundation
import Layers
public import Scan
public import Torch

/// A model in a half-width type against itself in float64: as it was trained under automatic casts, and, on a GPU, prepared
/// for inference in that type.
///
/// The weights are those of a reference's rule, the images are filled by their number. The prepared model may be little
/// further from the truth than the plain one: it computes the same function with other roundings.
public struct PrecisionComparison {
  /// How far logits are from those in float64.
  public struct Errors: Sendable, Encodable {
    /// The root of the mean square, relative to the largest logit.
    public let rms: Double
    /// The largest, relative to the largest logit.
    public let largest: Double
    /// The share of the images whose largest logit is the same.
    public let agreement: Double
  }

  /// What came of a comparison.
  public struct Result: Sendable, Encodable {
    /// The model's name.
    public let model: String
    /// The half-width type.
    public let dtype: String
    /// Where the model ran.
    public let device: String
    /// Rows and columns of the images.
    public let size: [Int]
    /// The number of images.
    public let images: Int
    /// The model as it was trained, under automatic casts.
    public let plain: Errors
    /// The model prepared for inference; absent where there is none in that type.
    public let prepared: Errors?
    /// The prepared model's error relative to the plain one's, by the root of the mean square.
    public let ratio: Double?
    /// Whether all logits are numbers and the ratio is within ``largestRatio``.
    public let passed: Bool

    /// One line for people.
    public var text: String {
      func words(_ name: String, _ errors: Errors) -> String {
        name
          + String(
            format: " rms %.2e, largest %.2e, top-1 agrees %.1f %%", errors.rms, errors.largest,
            100 * errors.agreement)
      }
      let parts = [words("plain", plain)] + (prepared.map { [words("prepared", $0)] } ?? [])
      let limit = ratio.map {
        String(format: "; ratio %.2f of at most %.1f", $0, PrecisionComparison.largestRatio)
      }
      return "  \(passed ? "PASS" : "FAIL")  \(model) in \(dtype) on \(device), \(images) images of "
        + size.map(String.init).joined(separator: "x") + ": " + parts.joined(separator: "; ") + (limit ?? "")
    }
  }

  /// How many times the plain model's error the prepared one's may be.
  public static let largestRatio = 1.5

  private let truth: ModelVerifier
  private let single: ModelVerifier
  private let sample: Reference.Case
  private let dtype: DType
  private let device: Device
  private let imageCount: Int

  /// A comparison for the model that `reference` names.
  ///
  /// - Parameters:
  ///   - reference: names the model, the rule of its weights and the images' size.
  ///   - path: names the reference in errors.
  ///   - dtype: `.bfloat16` or `.float16`.
  ///   - device: where the models run.
  ///   - imageCount: the number of images.
  /// - Throws: ``ReferenceError`` if no known architecture has that name, or the reference has no case with logits.
  public init(
    _ reference: Reference, path: String, dtype: DType, device: Device = .cpu, imageCount: Int = 256
  ) throws(ReferenceError) {
    truth = try ModelVerifier(reference, path: path, dtype: .float64, device: device)
    single = try ModelVerifier(reference, path: path, device: device)
    let forward = reference.cases.first { item in
      if case .forward = item.content { true } else { false }
    }
    guard let forward else {
      throw ReferenceError(
        path: path, key: "cases", problem: "has no case with logits",
        remedy: "give a reference with a forward case")
    }
    (sample, self.dtype, self.device, self.imageCount) = (forward, dtype, device, imageCount)
  }

  /// The model's name.
  public var model: String { truth.reference.name }

  /// Runs the models.
  ///
  /// - Parameter willContinue: asked before each batch.
  /// - Returns: the result; `nil` if it was not to go on.
  /// - Throws: `TorchError` if the engine cannot compute, for example for want of memory.
  public func run(whileTrue willContinue: () -> Bool = { true }) throws -> Result? {
    try withTorchErrors { withoutGradients { compare(willContinue) } }
  }

  private func compare(_ willContinue: () -> Bool) -> Result? {
    let exact = truth.filledModel(for: sample).backbone
    let trained = single.filledModel(for: sample)
    let prepared = device.isCUDA ? trained.prepared(dtype: dtype).backbone : nil
    let step = device.isCUDA ? 32 : 4
    var tallies = [LogitTally(), LogitTally()]
    for start in stride(from: 0, to: imageCount, by: step) {
      guard willContinue() else { return nil }
      let images = concatenate((start..<min(start + step, imageCount)).map(image), along: 0)
      let expected = exact(images.to(device: device, dtype: .float64)).to(device: .cpu)
      let input = images.to(device: device, format: device.isCUDA ? .channelsLast : nil)
      let plain = withAutocast(dtype, on: device) { trained.backbone(input) }
      tallies[0].add(plain.to(device: .cpu, dtype: .float64), expected)
      if let prepared { tallies[1].add(prepared(input).to(device: .cpu, dtype: .float64), expected) }
    }
    let plain = tallies[0].errors
    let other = prepared == nil ? nil : tallies[1].errors
    let ratio = other.map { $0.rms / plain.rms }
    return Result(
      model: model, dtype: dtype.name, device: "\(device)", size: Array(sample.input.shape.suffix(2)),
      images: imageCount, plain: plain, prepared: other, ratio: ratio,
      // Written so that NaN does not pass.
      passed: plain.rms <= .greatestFiniteMagnitude && (ratio.map { $0 <= Self.largestRatio } ?? true))
  }

  private func image(_ index: Int) -> Tensor {
    let input = sample.input
    return .filled(
      [1] + input.shape.dropFirst(), key: "input \(index)", low: input.lo, high: input.hi)
  }
}

/// The distances of logits, gathered batch by batch.
private struct LogitTally {
  private var (squares, largest, peak) = (0.0, 0.0, 0.0)
  private var (logits, images, agreeing) = (0, 0, 0)

  /// Adds logits `[B, classes]`.
  mutating func add(_ own: Tensor, _ expected: Tensor) {
    let errors = (own - expected).abs()
    squares += (errors * errors).sum().item()
    // NaN stays, which `max` would drop.
    let worst = errors.max().item()
    largest = worst > largest || worst.isNaN ? worst : largest
    peak = max(peak, expected.abs().max().item())
    logits += errors.count
    images += errors.size(0)
    agreeing += (own.argmax(-1) .== expected.argmax(-1)).sum().itemInt()
  }

  var errors: PrecisionComparison.Errors {
    let scale = peak > 0 ? peak : 1
    return PrecisionComparison.Errors(
      rms: (squares / Double(max(1, logits))).squareRoot() / scale, largest: largest / scale,
      agreement: Double(agreeing) / Double(max(1, images)))
  }
}

extension PrecisionComparison {
  /// The results of several models for programs.
  public struct Report: Encodable, Sendable {
    /// What computed.
    public let engine: EngineDescription
    /// One entry for each model.
    public let results: [Result]
    /// Whether models were left out because of an interruption.
    public let isInterrupted: Bool

    /// A report of these results.
    public init(_ results: [Result], on device: Device, isInterrupted: Bool) {
      (self.results, self.isInterrupted) = (results, isInterrupted)
      engine = EngineDescription(device: device)
    }

    /// Whether every model passed.
    public var passed: Bool { !results.isEmpty && !isInterrupted && results.allSatisfy(\.passed) }
  }
}
