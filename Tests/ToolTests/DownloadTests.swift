import Backbones
import Data
import Downloads
import Foundation
import Layers
import TestSupport
import Testing
import Torch

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

@testable import ganglion

/// The tool with a cache of the test's own. The addresses of the catalog are out of reach here, so files lie in the cache
/// already, or the way to them ends at a proxy of the test.
@Suite(.timeLimit(.minutes(15))) struct DownloadTests {
  private func ganglion(_ line: String, in root: URL, offline: String = "1") throws -> Tool.Result {
    try Shell.run("export GANGLION_CACHE=$PWD/cache GANGLION_OFFLINE=\(offline)\nganglion \(line)", in: root)
  }

  private func place(of architecture: Architecture, in root: URL) throws -> URL {
    let cache = WeightsCache(folder: root.appending(path: "cache/weights", directoryHint: .isDirectory))
    try FileManager.default.createDirectory(at: cache.folder, withIntermediateDirectories: true)
    return cache.location(of: try architecture.publishedWeights())
  }

  /// A model of other weights than a fresh one, as a file in the cache.
  private func cacheWeights(of architecture: Architecture, in root: URL) throws {
    let store = architecture.makeModel(seed: 7).store
    try SafeTensors.write(
      store.entries.map { ($0.key, $0.tensor) }, to: try place(of: architecture, in: root))
  }

  @Test func whatIsNotInTheCacheIsToldInASentence() throws {
    try inScratchFolder { root in
      try Image(height: 32, width: 32, red: 1, green: 2, blue: 3).writePNG(to: root.appending(path: "p.png"))
      let file = try place(of: .sparxMambaTiny, in: root)
      for (line, offline) in [
        ("download sparx_mamba_t", "1"), ("download sparx_mamba_t --offline", "0"),
        ("predict --model sparx_mamba_t --pretrained p.png", "1"),
        ("evaluate --model sparx_mamba_t --pretrained --offline --data .", ""),
      ] {
        let result = try ganglion(line, in: root, offline: offline)
        #expect(result.status == 1 && result.output.isEmpty, "\(line): \(result.errors)")
        #expect(
          result.complaints == [
            """
            Error: https://github.com/LMMMEng/SparX/releases/download/v1/sparx_mamba_tiny_in1k.pth: is not in the \
            cache, and the network is not to be used; fetch it where there is a network and put it at \(file.path)
            """[...]
          ], "\(line): \(result.errors)")
      }
    }
  }

  /// The authors' preprocessing, class names and weights, as with the file itself.
  @Test func cachedWeightsServePredictionWithoutANetwork() throws {
    try inScratchFolder { root in
      try cacheWeights(of: .mambaOutFemto, in: root)
      let file = try place(of: .mambaOutFemto, in: root)
      try Image(height: 60, width: 50, pixels: (0..<9000).map { UInt8(truncatingIfNeeded: $0 * 7) })
        .writePNG(to: root.appending(path: "p.png"))
      let line = "predict --model mambaout_femto --threads 1 --json p.png"
      let (published, given) = (
        try ganglion("\(line) --pretrained", in: root),
        try ganglion("\(line) --weights '\(file.path)'", in: root)
      )
      #expect(published.status == 0 && given.status == 0, "\(published.errors)\(given.errors)")
      #expect(published.output == given.output)
      let classes = try #require(try published.objects().first?["classes"] as? [[String: Any]])
      let names = classes.compactMap { $0["name"] as? String }
      #expect(names.count == 5 && names.allSatisfy(ImageNet.classNames.contains))
    }
  }

  @Test func cachedWeightsServeFineTuning() throws {
    let toy = try ToyProject()
    defer { toy.remove() }
    try cacheWeights(of: .mambaOutFemto, in: toy.root)
    let model = "--set model.name=mambaout_femto --set model.depths=null --set model.widths=null --epochs 1"
    let result = try ganglion(
      "train --threads 1 --recipe recipe.yaml \(model) --output run --pretrained", in: toy.root)
    #expect(result.status == 0, "\(result.errors)")
    #expect(
      result.errors.contains("replaced, freshly drawn: 2 classes, the file has 1000"), "\(result.errors)")
    let recipe = try String(contentsOf: toy.root.appending(path: "run/recipe.yaml"), encoding: .utf8)
    #expect(recipe.contains(#/pretrained: "?published"?\n/#), "\(recipe)")

    let none = try ganglion("train --recipe recipe.yaml --output none --pretrained", in: toy.root)
    #expect(none.status == 1)
    #expect(
      none.errors.contains(
        "`model.pretrained` must be a file for a model without published weights, got `published`"),
      "\(none.errors)")
    #expect(!FileManager.default.fileExists(atPath: toy.path("none")))
  }

  @Test func theCacheIsListedAndCleared() throws {
    try inScratchFolder { root in
      #expect(try ganglion("download --list", in: root).output.isEmpty)
      let file = try place(of: .deitTiny, in: root)
      let part = try place(of: .swinTiny, in: root).appendingPathExtension("part")
      let stranger = file.deletingLastPathComponent().appending(path: "stranger.pth")
      for (url, count) in [(file, 1_234_567), (part, 89), (stranger, 1)] {
        try Foundation.Data(count: count).write(to: url)
      }
      let fetched = try ganglion("download deit_tiny", in: root)
      #expect(fetched.status == 0 && fetched.output == file.path + "\n", "\(fetched.errors)")
      let list = try ganglion("download --list", in: root).output
      #expect(list.contains("deit_tiny  1.2 MB              \(file.path)\n"), "\(list)")
      #expect(list.contains("swin_tiny  0.0 MB  incomplete  \(part.path)\n"), "\(list)")
      #expect(list.contains(stranger.path))
      let objects = try ganglion("download --list --json 'swin_*'", in: root).objects()
      #expect(objects.count == 1)
      #expect(objects.first?["model"] as? String == "swin_tiny" && objects.first?["bytes"] as? Int == 89)
      #expect(objects.first?["complete"] as? Bool == false && objects.first?["license"] as? String == "MIT")
      let removed = try ganglion("download --remove deit_tiny swin_tiny", in: root)
      #expect(removed.output == "\(file.path)\n\(part.path)\n", "\(removed.errors)")
      #expect(try files(in: stranger.deletingLastPathComponent()) == ["stranger.pth"])
      let nothing = try ganglion("download --remove deit_tiny", in: root)
      #expect(nothing.status == 0 && nothing.errors == "nothing of that is in the cache\n")
    }
  }

  /// Ctrl-C while the way to the file is tried: the licence was told, the proxy asked for, and nothing is left.
  @Test(arguments: [
    ("sparx_mamba_t", "CONNECT github.com:443 HTTP/1.1", "the authors state no licence"),
    ("mamba_vision_T", "CONNECT huggingface.co:443 HTTP/1.1", "CC BY-NC-SA 4.0: NO COMMERCIAL USE"),
  ]) func theLicenceIsToldAndTheProxyUsed(model: String, line: String, license: String) throws {
    try inScratchFolder { root in
      let proxy = try LocalServer { _, _ in .init("503 Service Unavailable") }
      defer { proxy.stop() }
      let running = try Tool.start(
        ["download", model],
        environment: [
          "GANGLION_CACHE": root.path, "GANGLION_OFFLINE": "", "no_proxy": "", "NO_PROXY": "",
          "HTTPS_PROXY": "http://127.0.0.1:\(proxy.port)",
          "https_proxy": "http://127.0.0.1:\(proxy.port)",
        ])
      while running.process.isRunning, proxy.requests.count < 2 { usleep(2000) }
      kill(running.process.processIdentifier, SIGINT)
      let result = try running.result()
      #expect(result.status == 130, "\(result.errors)")
      #expect(Set(proxy.requests.map(\.line)) == [line])
      #expect(result.errors.contains(license), "\(result.errors)")
      #expect(
        result.errors.contains("the file was refused with HTTP status 503; once more in 1 s"),
        "\(result.errors)")
      #expect(result.output.isEmpty)
    }
  }

  static let lines: [(Int, Int?, Double, String)] = [
    (46_500_000, 108_300_000, 11_200_000, "42 %  46.5 MB of 108.3 MB  11.2 MB/s  0:05 left"),
    (108_300_000, 108_300_000, 5e6, "100 %  108.3 MB of 108.3 MB  5.0 MB/s"),
    (2_000_000, nil, 1e6, "2.0 MB  1.0 MB/s"),
    (0, 900_000_000, 1e6, "0 %  0.0 MB of 900.0 MB  1.0 MB/s  15:00 left"),
    (1, 2_000_000, 0, "0 %  0.0 MB of 2.0 MB  0.0 MB/s"),
  ]

  @Test(arguments: lines)
  func progressIsToldInOneLine(received: Int, total: Int?, rate: Double, expected: String) {
    #expect(TransferLine.text(received, total, bytesPerSecond: rate) == expected)
  }

  @Test(arguments: [
    ("download", "name a model"), ("download nothing_such", "no model is called 'nothing_such'"),
    ("download sparx_mamba_micro", "sparx_mamba_micro: has no published weights; train it"),
    ("download --list --remove x", "give either --list or --remove"),
    ("predict --model deit_tiny --pretrained --random-weights p.png", "give either --checkpoint"),
    ("predict --model deit_micro --pretrained p.png", "deit_micro: has no published weights"),
  ]) func whatCannotBeFetchedIsToldInASentence(line: String, words: String) throws {
    try inScratchFolder { root in
      try Image(height: 32, width: 32, red: 1, green: 2, blue: 3).writePNG(to: root.appending(path: "p.png"))
      let result = try ganglion(line, in: root)
      #expect(result.status != 0 && result.status < 128 && result.output.isEmpty)
      #expect(result.complaints.count == 1 && result.errors.contains(words), "\(result.errors)")
    }
  }

  @Test func theCatalogTellsWhatIsKnownOfTheFile() throws {
    let result = try Tool.run("models", "--json", "deit_tiny")
    let rows = try #require(
      try JSONSerialization.jsonObject(with: Foundation.Data(result.output.utf8)) as? [[String: Any]])
    let row = try #require(rows.first)
    let file = try #require(row["weights_file"] as? [String: Any])
    #expect(
      row["interpolation"] as? String == "bicubic" && row["mean"] as? [Double] == [0.485, 0.456, 0.406])
    #expect(file["format"] as? String == "PyTorch" && file["dictionaries"] as? [String] == ["model"])
    #expect(file["sha256"] as? String == "a1311bcf" && file["license"] as? String == "Apache-2.0")
    #expect(file["allows_commercial_use"] as? Bool == true)
    let summary = try Tool.run("inspect", "mamba_vision_T").output
    #expect(
      summary.contains(
        "PyTorch with the weights in `state_dict` or `model` or the outermost dictionary; "
          + "licence: CC-BY-NC-SA-4.0, no commercial use"), "\(summary)")
  }
}
