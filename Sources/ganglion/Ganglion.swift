import ArgumentParser

@main
struct Ganglion: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ganglion",
    abstract:
      "Vision backbones with state-space, convolution and attention mixers, and sparse cross-layer connections.",
    version: "0.1.0",
    subcommands: [
      TrainCommand.self,
      EvaluateCommand.self,
      PredictCommand.self,
      VerifyCommand.self,
    ])
}
