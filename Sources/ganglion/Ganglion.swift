import ArgumentParser
import Foundation
import Torch

@main
struct Ganglion: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ganglion",
    abstract:
      "Vision backbones with state-space, convolution and attention mixers, and sparse cross-layer connections.",
    discussion: """
      Examples:
        ganglion models
        ganglion help predict
      """,
    version: "0.1.0 (LibTorch \(Engine.version))",
    subcommands: [
      TrainCommand.self,
      EvaluateCommand.self,
      PredictCommand.self,
      ReportCommand.self,
      BenchmarkCommand.self,
      ModelsCommand.self,
      DownloadCommand.self,
      InspectCommand.self,
      ConvertCommand.self,
      VerifyCommand.self,
      DoctorCommand.self,
    ])

  static func main() async {
    prepareStandardStreams()
    do {
      var command = try await asyncParseAsRoot(nil)
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
      // LibTorch takes a third of a short run's time to take itself down, and nothing is left to be written.
      endNow(EXIT_SUCCESS)
    } catch {
      end(with: error)
    }
  }

  /// Says what went wrong in one sentence, or gives the help that was asked for, and ends the process.
  private static func end(with error: any Error) -> Never {
    let code = exitCode(for: error)
    let message = message(for: error)
    if code.isSuccess {
      output(message)
    } else if !message.isEmpty {
      say("Error: \(message)")
      if code == .validationFailure { say("  See 'ganglion \(verb)--help' for more information.") }
    }
    endNow(code.rawValue)
  }

  /// The verb that was given, if it is one, and a blank.
  private static var verb: String {
    let names = configuration.subcommands.compactMap { $0.configuration.commandName }
    guard let given = CommandLine.arguments.dropFirst().first, names.contains(given) else { return "" }
    return given + " "
  }
}
