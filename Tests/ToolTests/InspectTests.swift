import Analysis
import Backbones
import Foundation
import Layers
import TestSupport
import Testing
import Torch

@Suite struct WiringDiagramTests {
  private let aggregator = Aggregator.dynamicChannels(.init(reduction: 1))

  @Test func theThirdStageOfTheTinyModel() throws {
    let configuration = try #require(Architecture.sparxMambaTiny.configuration as? SparX.Configuration)
    let connection = configuration.stages[2].connection
    #expect(
      WiringDiagram(connection.wiring(depth: 7, hasInput: true)).lines == [
        "input  ○",
        "       ├─╮",
        "    0  ◆◀╯        ganglion, sees input",
        "       ├─╮",
        "    1  ● │        ordinary",
        "       ├─│─╮",
        "    2  ◆◀┼─╯      ganglion, sees 1, 0",
        "       ├─│─╮",
        "    3  ● │ │      ordinary",
        "       ├─│─│─╮",
        "    4  ◆◀┼─┼─╯    ganglion, sees 3, 0, 2",
        "       ├─│─│─╮",
        "    5  ● │ │ │    ordinary",
        "       ├─│─│─│─╮",
        "    6  ◆◀┴─┴─┴─╯  ganglion, sees 5, 0, 2, 4",
      ])
  }

  @Test func lanesThatAreOnlyCrossedStayWhole() {
    // input - 1,0 - 3,2: layer 2's lane takes the place that layer 0's left.
    let connection = CrossLayerConnection(
      .every(stride: 2), reach: .sparse(window: 1), aggregator: aggregator)
    #expect(
      WiringDiagram(connection.wiring(depth: 5, hasInput: true)).lines == [
        "input  ○",
        "       ├─╮",
        "    0  ◆◀╯    ganglion, sees input",
        "       ├─╮",
        "    1  ● │    ordinary",
        "       ├─│─╮",
        "    2  ◆◀┴─╯  ganglion, sees 1, 0",
        "       ├─╮",
        "    3  ● │    ordinary",
        "       ├─│─╮",
        "    4  ◆◀┴─╯  ganglion, sees 3, 2",
      ])
  }

  @Test func aPlainStageIsAChain() {
    #expect(
      WiringDiagram(CrossLayerConnection.none.wiring(depth: 2, hasInput: true)).lines
        == ["    0  ●  ordinary", "    1  ●  ordinary"])
  }

  /// Follows the lanes of a picture from line to line: what each arrow is joined to must be what the layer sees.
  @Test(arguments: [(1, nil), (2, nil), (3, 2), (2, 1), (2, 0), (4, 3)] as [(Int, Int?)], [true, false])
  func picturesSayWhatTheWiringSays(_ rule: (Int, Int?), _ hasInput: Bool) throws {
    for reach in [CrossLayerConnection.Reach.sparse(window: rule.1), .dense] {
      for stageInput in [CrossLayerConnection.StageInput.ordinary, .ganglion, .unseen] {
        let connection = CrossLayerConnection(
          .every(stride: rule.0), reach: reach, stageInput: stageInput, aggregator: aggregator)
        let wiring = connection.wiring(depth: 11, hasInput: hasInput)
        let expected = wiring.sources.map { Set(($0 ?? []).map(\.description)) }
        #expect(try read(WiringDiagram(wiring).lines, depth: 11) == expected, "\(connection)")
      }
    }
  }

  private func read(_ lines: [String], depth: Int) throws -> [Set<String>] {
    var lanes: [Int: String] = [:]
    var seen: [Set<String>] = []
    var current = "input"
    for line in lines {
      let label = line.prefix(5).trimmingCharacters(in: .whitespaces)
      let drawing = Array(line.dropFirst(8))
      if !label.isEmpty { current = label }
      if !label.isEmpty && label != "input" { seen.append([]) }
      for column in stride(from: 1, to: drawing.count, by: 2)
      where drawing[column - 1] != " " || drawing[column] == "│" {
        switch drawing[column] {
        case "╮": lanes[column] = current
        case "┼", "┤": seen[seen.count - 1].insert(try #require(lanes[column]))
        case "┴", "╯":
          seen[seen.count - 1].insert(try #require(lanes[column]))
          lanes[column] = nil
        case "│": #expect(lanes[column] != nil, "\(line)")
        default: break
        }
      }
    }
    #expect(lanes.isEmpty && seen.count == depth)
    return seen
  }
}

@Suite struct SummaryTests {
  @Test func partsAddUp() {
    let summary = ModelSummary(.sparxMambaMicro, size: (96, 64))
    #expect(summary.parametersByKey.reduce(0) { $0 + $1.count } == summary.parameters)
    #expect(
      summary.parametersByKey.map(\.name) == [
        "patch_embed", "layers.0", "layers.1", "layers.2", "layers.3", "classifier",
      ])
    #expect(summary.multiplyAddsByRegion.reduce(0) { $0 + $1.count } == summary.multiplyAdds)
    #expect(
      summary.multiplyAddsByRegion.map(\.name) == ["stem", "stage1", "stage2", "stage3", "stage4", "head"])
    let features = withoutGradients {
      Architecture.sparxMambaMicro.makeModel().backbone.features(of: .zeros([1, 3, 96, 64]))
    }
    #expect(summary.maps.map { [1, $0.channels] + $0.size } == features.map(\.shape))
    #expect(summary.stages.map(\.count) == [1, 2, 3, 2])
    #expect(summary.text.contains("96x64 pixels"))
  }

  @Test func aggregatorsAreNamedWhereThereAreAny() {
    let summary = ModelSummary(.sparxMambaTinyCrossScale)
    let named = [
      "CSA, 4 heads, reductions 4, 8", "CSA, 4 heads, reductions 2, 4", "CSA, 4 heads, reductions 1, 2",
    ]
    #expect(summary.aggregators == [nil] + named)
    for name in named { #expect(summary.text.contains("\naggregator: \(name)\n")) }
    let plain = ModelSummary(.sparxMambaTinyPlain)
    #expect(plain.aggregators == [nil, nil, nil, nil] && !plain.text.contains("aggregator"))
    #expect(ModelSummary(.resNetMicro).aggregators.isEmpty)
  }

  /// ConvNeXt drops the pixels that fill no patch; the others give them a position.
  @Test(arguments: [Architecture.convNeXtMicro, .mambaOutMicro, .resNetMicro])
  func mapsHaveTheirTrueSizes(architecture: Architecture) {
    let summary = ModelSummary(architecture, size: (99, 70))
    let features = architecture.makeModel(device: .meta).backbone
      .features(of: .zeros([1, 3, 99, 70], device: .meta))
    #expect(summary.maps.map { [1, $0.channels] + $0.size } == features.map(\.shape))
  }

  @Test func aCheckpointByItsHeader() throws {
    try inScratchFolder { folder in
      let url = folder.appending(path: "a.safetensors")
      try SafeTensors.write(
        [("layer.weight", Tensor.ones([2, 3])), ("count", Tensor(5))], metadata: ["note": "a\u{1b}[2Jb"],
        to: url)
      let summary = try CheckpointSummary(contentsOf: url)
      #expect(summary.elements == 7 && summary.bytes == 32)
      #expect(Set(summary.tensors.map(\.key)) == ["layer.weight", "count"])
      #expect(summary.text.contains("layer.weight  2x3"))
      #expect(summary.text.contains("2 tensors (1 float32, 1 int64), 7 elements, 32 B"))
      // A stranger's escape sequences do not reach the terminal.
      #expect(summary.text.contains("note: a [2Jb"))
      try Data("nonsense".utf8).write(to: url)
      #expect(throws: CheckpointError.self) { try CheckpointSummary(contentsOf: url) }
    }
  }

  @Test(arguments: [
    (0, "0"), (999, "999"), (1000, "1.000 k"), (27_051_794, "27.05 M"), (5_253_995_648, "5.254 G"),
    (123_456, "123.5 k"),
  ]) func counts(_ value: Int, _ expected: String) {
    #expect(Quantity.count(value) == expected)
  }

  @Test(arguments: [(0, "0 B"), (1023, "1023 B"), (1024, "1.000 KiB"), (1 << 30, "1.000 GiB")])
  func sizes(_ value: Int, _ expected: String) {
    #expect(Quantity.bytes(value) == expected)
  }

  @Test func columnsAreAligned() {
    var table = TextTable([("name", .left), ("size", .right)])
    table.append(["a", "1"])
    table.append(["longer", "12345"])
    #expect(table.lines == ["name     size", "a           1", "longer  12345"])
  }

  @Test func thisInstallationIsHealthy() {
    let diagnosis = Diagnosis()
    #expect(diagnosis.isHealthy, "\(diagnosis.text)")
    let names = diagnosis.findings.map(\.name)
    for name in ["LibTorch", "loaded from", "threads", "GPU", "scan kernel", "2-D scan kernel"] {
      #expect(names.contains(name))
    }
    #expect(diagnosis.findings.first { $0.name == "loaded from" }?.value.hasPrefix("/") == true)
  }
}

@Suite struct InspectCommandTests {
  @Test func aModelAsJSON() throws {
    let result = try Tool.run("inspect", "sparx_mamba_micro", "--size", "96x64", "--json")
    #expect(result.status == 0, "\(result.errors)")
    let object = try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any]
    #expect(object?["name"] as? String == "sparx_mamba_micro")
    #expect(object?["input_size"] as? [Int] == [96, 64])
    let expected = Architecture.sparxMambaMicro.makeModel()
    #expect(object?["parameters"] as? Int == expected.store.parameterCount)
  }

  @Test func unknownSubjectsListTheModels() throws {
    let result = try Tool.run("inspect", "vgg16")
    #expect(result.status != 0)
    #expect(result.errors.contains("'vgg16' is neither a file nor a model; the models are sparx_mamba_t"))
    #expect(result.output.isEmpty)
  }

  @Test(arguments: ["31x64", "224", "axb", "99999x32", "224x224x3"]) func impossibleSizes(_ size: String)
    throws
  {
    #expect(try Tool.run("inspect", "sparx_mamba_micro", "--size", size).status != 0)
  }

  @Test func theCatalogByPattern() throws {
    let result = try Tool.run("models", "sparx*a_micro", "--json")
    #expect(result.status == 0, "\(result.errors)")
    let rows = try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [[String: Any]]
    #expect(rows?.map { $0["name"] as? String } == ["sparx_mamba_micro"])
    #expect(rows?.first?["input_size"] as? [Int] == [64, 64])
    let none = try Tool.run("models", "vgg*")
    #expect(none.status != 0 && none.errors.contains("no model is called 'vgg*'"))
  }

  @Test func doctorAndVersion() throws {
    let doctor = try Tool.run("doctor", "--json")
    #expect(doctor.status == 0, "\(doctor.output) \(doctor.errors)")
    #expect(doctor.output.contains("\"LibTorch\""))
    #expect(try Tool.run("--version").output.contains("LibTorch \(Engine.version)"))
  }
}

@Suite struct InspectVerifyTests {
  private static let reference = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../Fixtures/models/sparx_mamba_t.json").standardizedFileURL.path(
      percentEncoded: false)

  @Test func oneCaseOfTheShippedReference() throws {
    let result = try Tool.run("verify", Self.reference, "--case", "dense_160x224", "--json")
    #expect(result.status == 0, "\(result.output) \(result.errors)")
    let object = try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any]
    let results = object?["results"] as? [[String: Any]]
    #expect(results?.map { $0["id"] as? String } == ["contract", "dense_160x224"])
    #expect(results?.allSatisfy { $0["passed"] as? Bool == true } == true)
    #expect(result.errors.contains("LibTorch \(Engine.version)"))
  }

  @Test func aWrongNumberIsAFailure() throws {
    try inScratchFolder { folder in
      let text = try String(contentsOfFile: Self.reference, encoding: .utf8)
      #expect(text.contains("\"total\":5253995648"))
      let url = folder.appending(path: "wrong.json")
      try text.replacing("\"total\":5253995648", with: "\"total\":5253995649")
        .write(to: url, atomically: true, encoding: .utf8)
      let result = try Tool.run("verify", url.path(percentEncoded: false), "--case", "eval_192x256")
      #expect(result.status == 1)
      #expect(result.output.contains("FAIL  contract") && result.output.contains("PASS  eval_192x256"))
    }
  }

  @Test func unusableFilesAreSentences() throws {
    let missing = try Tool.run("verify", "nowhere.json")
    #expect(missing.status == 2 && missing.errors.contains("nowhere.json: does not exist"))
    let unknown = try Tool.run("verify", Self.reference, "--case", "eval_9")
    #expect(
      unknown.status == 2 && unknown.errors.contains("no file has a case `eval_9`; there are dense_160x224"))
    let device = try Tool.run("verify", Self.reference, "--device", "cuda:99")
    #expect(device.status == 2 && device.errors.contains("--device cuda:99: "), "\(device.errors)")
  }
}
