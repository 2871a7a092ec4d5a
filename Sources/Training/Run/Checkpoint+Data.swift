public import Data
public import Foundation

extension Checkpoint {
  /// The samples to judge the model by.
  ///
  /// - Parameter folder: one with a folder a class, or one whose `val/` holds them; the validation set of the
  ///   checkpoint's recipe if absent.
  /// - Returns: the samples, of the model's classes.
  /// - Throws: `DatasetError` or ``RecipeError``, naming the path.
  public func validationSamples(in folder: URL? = nil) throws -> any Dataset {
    let samples: any Dataset
    let place: String
    if let folder {
      let pictures = try ImageFolder(validationIn: folder)
      (samples, place) = (pictures, pictures.root.path(percentEncoded: false))
    } else {
      (samples, place) = (try recipe.makeData().validation, recipe.data.path ?? "the built-in set")
    }
    try requireSameClasses(samples.classNames, of: place, classNames)
    return samples
  }
}
