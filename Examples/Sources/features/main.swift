// Finds the picture most like another:  features CHECKPOINT PICTURE CANDIDATE…
//
// A trained backbone without its classifier describes pictures by maps of features; here the coarsest map's mean over
// all positions is a picture's description, and pictures are compared by the cosine between theirs.
import Data
import Foundation
import Torch
import Training

/// The unit vector `[C]` that describes a picture.
func description(of picture: URL, by classifier: Classifier) throws -> Tensor {
  let maps = try classifier.features(of: Image(contentsOf: picture))  // strides 4, 8, 16, 32
  let mean = maps[maps.count - 1].mean(1, 2)  // [C, H, W] to [C]
  return mean / mean.norm()
}

let arguments = CommandLine.arguments.dropFirst().map { URL(filePath: $0) }
guard arguments.count >= 3 else {
  print("usage: features CHECKPOINT PICTURE CANDIDATE…")
  exit(64)
}

do {
  let classifier = try Classifier(contentsOf: arguments[0])
  let wanted = try description(of: arguments[1], by: classifier)
  let similar = try arguments.dropFirst(2).map { candidate in
    (
      cosine: (wanted * (try description(of: candidate, by: classifier))).sum().item(),
      path: candidate.relativePath
    )
  }
  for (cosine, path) in similar.sorted(by: { $0.cosine > $1.cosine }) {
    print(String(format: "%6.3f  ", cosine) + path)
  }
} catch {
  print(error)
  exit(1)
}
