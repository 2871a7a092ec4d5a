import ArgumentParser
import Torch

@main
struct Ganglion: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ganglion",
    abstract:
      "Vision backbones with state-space, convolution and attention mixers, and sparse cross-layer connections.",
    version: "0.1.0 (LibTorch \(Engine.version))",
    subcommands: [
      TrainCommand.self,
      EvaluateCommand.self,
      PredictCommand.self,
      ReportCommand.self,
      BenchmarkCommand.self,
      ModelsCommand.self,
      InspectCommand.self,
      ConvertCommand.self,
      VerifyCommand.self,
      DoctorCommand.self,
    ])
}
