import ArgumentParser
import Scan
import Torch

/// How the engine is to compute.
struct EngineOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Threads that operators use; all cores by default.", valueName: "count"))
  var threads: Int?

  func validate() throws {
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads must be from 1 to 1024, got \(threads).")
    }
  }

  /// Applies the options and says in one line what will compute.
  ///
  /// - Parameters:
  ///   - recipe: what counts where the option is not given.
  ///   - form: what else is to be said of what computes.
  func start(recipe: Int? = nil, form: String? = nil) {
    if let threads = threads ?? recipe { Engine.threadCount = threads }
    say(EngineDescription().line + (form.map { "; \($0)" } ?? ""))
  }
}
