import Backbones
import Layers
public import Torch

extension ModelVerifier {
  /// A verifier whose model takes its weights from a file instead of filling them by rule.
  ///
  /// - Parameter file: all weights of the classifier, and nothing else.
  /// - Returns: a verifier for the cases in ``casesWithFileWeights``.
  /// - Throws: `CheckpointError` if the file cannot be read, or `ParameterMismatch` if its tensors are not the model's.
  public func loading(_ file: StateDictionary) throws -> ModelVerifier {
    let tensors = Dictionary(uniqueKeysWithValues: try file.tensors().map { ($0.key, $0.tensor) })
    let translation = try makeModel(.classifier(classes: Self.classes)).store.load(tensors, from: file.path)
    var verifier = self
    verifier.weights = translation(tensors)
    verifier.translation = translation
    return verifier
  }

  /// The cases that one set of weights serves: those of the classifier as it is published, filled under its own keys.
  public var casesWithFileWeights: [Reference.Case] {
    reference.cases.filter { item in
      switch item.content {
      case .forward, .gradient: item.fillPrefix.isEmpty
      case .train, .features: false
      }
    }
  }
}
