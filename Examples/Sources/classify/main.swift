// Says what a picture shows:  classify CHECKPOINT PICTURE
//
// The checkpoint is the best.safetensors of a run of `ganglion train`; it says by itself how to build the model and how
// to prepare a picture for it.
import Data
import Foundation
import Training

let arguments = CommandLine.arguments.dropFirst().map { URL(filePath: $0) }
guard arguments.count == 2 else {
  print("usage: classify CHECKPOINT PICTURE")
  exit(64)
}

do {
  let classifier = try Classifier(contentsOf: arguments[0])
  let picture = try Image(contentsOf: arguments[1])
  for guess in try classifier.classes(of: picture, top: 5) {
    print(String(format: "%5.1f %%  ", 100 * guess.probability) + guess.name)
  }
} catch {
  print(error)
  exit(1)
}
