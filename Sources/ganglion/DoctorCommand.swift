import Analysis
import ArgumentParser

struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Say what this installation computes with, and whether it is right.",
    discussion: """
      Exits with 1 if something is wrong.

      Examples:
        ganglion doctor
        ganglion doctor --json
      """)

  @Flag(help: "Write the result to standard output as JSON.")
  var json = false

  func run() throws {
    let diagnosis = Diagnosis()
    if json { try outputJSON(diagnosis) } else { output(diagnosis.text) }
    if !diagnosis.isHealthy { throw ExitCode.failure }
  }
}
