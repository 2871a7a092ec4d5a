/// What follows the last stage of a backbone.
public enum Head: Hashable, Sendable {
  /// Nothing: the model is its feature maps.
  case none
  /// Logits for that many classes.
  case classifier(classes: Int)
  /// The extra norms of dense prediction on every feature map, and no classifier.
  case dense
}
