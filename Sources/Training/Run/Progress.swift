/// How far a run has come: enough, with the tensors, to go on to the same numbers.
public struct Progress: Codable, Hashable, Sendable {
  /// The steps taken; with the seed it names all random draws to come.
  public var step = 0
  /// The current epoch, from 0; the recipe's number of epochs once the run is complete.
  public var epoch = 0
  /// The batches of the current epoch that have been learned from; all of them while validation is pending.
  public var batch = 0
  /// The sum of the losses of those batches.
  public var lossSum = 0.0
  /// The best top-1 accuracy on the validation set so far, in percent.
  public var bestTop1: Double?
  /// The epoch of the best accuracy, from 0.
  public var bestEpoch: Int?
  /// What multiplies the loss, in float16.
  public var lossScale: LossScale?
}
