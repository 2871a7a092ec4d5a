import Layers

/// Tells people which tensors of a file came under older names or in older shapes, if any.
func sayTranslation(_ translation: Translation, of path: String) {
  if !translation.isEmpty { say("\(printable(path)): tensors read: \(translation)") }
}
