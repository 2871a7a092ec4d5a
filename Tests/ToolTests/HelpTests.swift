import ArgumentParser
import Backbones
import Foundation
import Testing

@testable import ganglion

@Suite struct HelpTests {
  /// A verb with what it says of itself.
  struct Verb: CustomTestStringConvertible, Sendable {
    let command: any ParsableCommand.Type
    var testDescription: String { command.configuration.commandName ?? "" }

    /// The lines after `Examples:`, which the help shows as they are.
    var examples: [String] {
      let discussion = command.configuration.discussion
      guard let range = discussion.firstRange(of: "Examples:\n") else { return [] }
      return discussion[range.upperBound...].split(separator: "\n").map(String.init)
    }
  }

  static let verbs = Ganglion.configuration.subcommands.map { Verb(command: $0) }

  @Test(arguments: verbs) func aSentenceAndTwoExamples(verb: Verb) {
    let abstract = verb.command.configuration.abstract
    #expect(abstract.hasSuffix(".") && !abstract.contains("\n") && abstract.count <= 70)
    #expect(verb.examples.count >= 2)
    #expect(verb.examples.allSatisfy { $0.hasPrefix("  ganglion \(verb.testDescription)") })
    // A longer line is broken by the help, and can no longer be copied.
    #expect(verb.examples.allSatisfy { $0.count <= 78 }, "\(verb.examples)")
  }

  @Test(arguments: verbs) func examplesParse(verb: Verb) throws {
    for example in verb.examples {
      let words = try words(of: example)
      #expect(words.first == "ganglion")
      let parsed = try Ganglion.parseAsRoot(Array(words.dropFirst()))
      #expect(type(of: parsed) == verb.command, "\(example)")
    }
  }

  /// Options that take a value say of what kind it is, and each option and argument says what it is for.
  @Test(arguments: verbs) func everythingIsExplained(verb: Verb) throws {
    let help = try Tool.run(verb.testDescription, "--help")
    #expect(help.status == 0 && help.errors.isEmpty)
    #expect(help.output.hasPrefix("OVERVIEW: \(verb.command.configuration.abstract)"))
    for example in verb.examples { #expect(help.output.contains(example)) }
    let lines = help.output.split(separator: "\n", omittingEmptySubsequences: false)
    for (index, line) in lines.enumerated() where line.hasPrefix("  -") || line.hasPrefix("  <") {
      let term = line.dropFirst(2).prefix { $0 != " " }
      // The explanation stands on the same line or, after a long term, on the next.
      let text = line.dropFirst(26).isEmpty ? lines[index + 1].dropFirst(26) : line.dropFirst(26)
      #expect(!text.isEmpty, "\(term) of \(verb.testDescription)")
      // A value's name that only repeats the option's says nothing.
      #expect(!line.contains("\(term) <\(term.dropFirst(2))>"), "\(line)")
    }
  }

  /// The words of a line as a shell divides it, without redirections.
  private func words(of line: String) throws -> [String] {
    let command = line.split(separator: " < ").first.map(String.init) ?? line
    let result = try Shell.run("printf '%s\\n' \(command.trimmingCharacters(in: .whitespaces))")
    return result.output.split(separator: "\n").map(String.init)
  }
}

@Suite struct CompletionTests {
  @Test(arguments: ["bash", "zsh", "fish"]) func scripts(shell: String) throws {
    let script = try Tool.run("--generate-completion-script", shell)
    #expect(script.status == 0 && script.errors.isEmpty)
    for name in Architecture.allCases.map(\.rawValue) { #expect(script.output.contains(name)) }
  }

  /// What bash offers for the last word of a line.
  @Test(arguments: [
    ("ganglion pre", ["predict"]),
    ("ganglion models sparx_mamba_m", ["sparx_mamba_micro"]),
    ("ganglion inspect sparx_mamba_b", ["sparx_mamba_b"]),
    ("ganglion predict --model sparx_mamba_m", ["sparx_mamba_micro"]),
    ("ganglion models --sort m", ["multiply-adds"]),
    ("ganglion verify --dtype f", ["float32", "float64", "float16"]),
    ("ganglion predict --checkpoint be", ["best.safetensors"]),
    ("ganglion predict --annotate a-", ["a-folder"]),
    ("ganglion evaluate --data a-", ["a-folder"]),
    ("ganglion evaluate --dat", ["--data"]),
  ]) func bashOffers(line: String, expected: [String]) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "ganglion-\(UUID().uuidString)")
    for name in ["a-folder"] {
      try FileManager.default.createDirectory(
        at: folder.appending(path: name), withIntermediateDirectories: true)
    }
    defer { try? FileManager.default.removeItem(at: folder) }
    for name in ["best.safetensors", "bed.txt", "a-file"] {
      try Data().write(to: folder.appending(path: name))
    }
    let result = try Shell.run(
      """
      ganglion --generate-completion-script bash > completions && bash -n completions || exit 3
      source ./completions
      COMP_LINE='\(line)' COMP_WORDS=(\(line)) COMP_POINT=${#COMP_LINE} COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
      _ganglion ganglion "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
      printf '%s\\n' "${COMPREPLY[@]}"
      """, in: folder)
    #expect(result.status == 0, "\(result.errors)")
    let offered = result.output.split(separator: "\n").map(String.init)
    #expect(offered.filter { $0.hasPrefix(line.split(separator: " ").last ?? "") } == expected, "\(offered)")
  }
}
