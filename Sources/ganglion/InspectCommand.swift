import Analysis
import ArgumentParser
import Backbones
import Foundation

struct InspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Show what a model or a checkpoint is made of.",
    discussion: """
      For a model of the catalog: parameters, multiply-adds, feature maps, and which layer looks at which. For a file \
      of weights, safetensors or written by torch.save: its tensors, its texts, and what else it holds.

      Examples:
        ganglion inspect sparx_mamba_t
        ganglion inspect sparx_mamba_b --size 512x2048 --json
        ganglion inspect runs/demo/best.safetensors
        ganglion inspect sparx_mamba_t.pth
      """)

  @ArgumentParser.Argument(
    help: ArgumentHelp("A model's name or a file of weights.", valueName: "model or file"),
    completion: .list(Architecture.names))
  var subject: String

  @Option(
    help: ArgumentHelp("The image's size in pixels; the model's own by default.", valueName: "HxW"),
    transform: PixelSize.init)
  var size: PixelSize?

  @Flag(help: "Write the result to standard output as JSON.")
  var json = false

  func run() throws {
    if let architecture = Architecture(rawValue: subject) {
      let summary = ModelSummary(architecture, size: size.map { ($0.height, $0.width) })
      if json { try outputJSON(summary) } else { output(summary.text) }
      return
    }
    guard FileManager.default.fileExists(atPath: subject) else {
      throw ValidationError(
        "'\(printable(subject))' is neither a file nor a model; the models are "
          + "\(Architecture.names.joined(separator: ", ")).")
    }
    if size != nil { throw ValidationError("--size is for models, and '\(printable(subject))' is a file.") }
    let summary = try CheckpointSummary(contentsOf: URL(filePath: subject))
    if json { try outputJSON(summary) } else { output(summary.text) }
  }
}

/// Height and width in pixels, written `224x320`.
struct PixelSize {
  let height: Int
  let width: Int

  init(_ text: String) throws {
    let sides = text.split(separator: "x", omittingEmptySubsequences: false).compactMap { Int($0) }
    guard sides.count == 2, text.count(where: { $0 == "x" }) == 1, sides.allSatisfy(Self.range.contains)
    else {
      throw ValidationError(
        "--size expects height and width from \(Self.range.lowerBound) to \(Self.range.upperBound), such as"
          + " 224x320; got '\(printable(text))'.")
    }
    (height, width) = (sides[0], sides[1])
  }

  /// What the deepest maps need, and more than any picture has.
  private static let range = 32...65_536
}
