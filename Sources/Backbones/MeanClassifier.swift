import Layers
import Torch

/// A norm, the mean over positions and a linear layer, from `[B, H, W, C]`.
struct MeanClassifier: Layer {
  let norm: LayerNorm
  let linear: Linear

  init(_ scope: Scope, _ width: Int, classes: Int) {
    norm = LayerNorm(scope["norm"], width)
    linear = .classifier(scope["head"], width, classes: classes)
  }

  func callAsFunction(_ x: Tensor) -> Tensor { linear(norm(x).mean(1, 2)) }
}
