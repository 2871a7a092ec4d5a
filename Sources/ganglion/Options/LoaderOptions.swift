import ArgumentParser

/// How pictures reach the network.
struct LoaderOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Pictures that the network sees together.", valueName: "count"))
  var batchSize = 16

  @Option(help: ArgumentHelp("Threads that read pictures.", valueName: "count"))
  var workers = 2

  func validate() throws {
    // A batch of the largest inputs is some gigabytes then, and workers hold several.
    if !(1...4096).contains(batchSize) {
      throw ValidationError("--batch-size must be from 1 to 4096, got \(batchSize).")
    }
    if !(1...256).contains(workers) {
      throw ValidationError("--workers must be from 1 to 256, got \(workers).")
    }
  }
}
