public import Randomness

/// A change to a picture, random or not.
public protocol Transform: Sendable {
  /// The changed picture; all its chance comes from `random`.
  func callAsFunction(_ image: Image, using random: inout CounterRandom) -> Image
}
