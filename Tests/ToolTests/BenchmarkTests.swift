import Backbones
import Foundation
import Layers
import TestSupport
import Testing
import Torch

@testable import Analysis

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

@Suite struct BenchmarkResultTests {
  @Test(arguments: [
    ([4.0], 0.9, 4.0), ([1, 2], 0.5, 1.5), ([1, 2, 3, 4, 5], 0.25, 2), ([1, 2, 3, 4, 5], 0.9, 4.6),
    ([0, 10], 1, 10), ([0, 10], 0, 0),
  ])
  func quantiles(values: [Double], share: Double, expected: Double) {
    #expect(abs(quantile(values, share) - expected) < 1e-12)
  }

  @Test func figuresFollowFromTheCalls() throws {
    var settings = BenchmarkCase(model: .sparxMambaMicro, height: 32, width: 32, batch: 8)
    (settings.warmUp, settings.iterations, settings.threads) = (0, 1, nil)
    var result = try Benchmark(settings).run()
    #expect(result.parameters == Architecture.sparxMambaMicro.makeModel().store.parameterCount)
    result.latencies = [0.5, 0.1, 0.2, 0.4, 0.3]
    result.multiplyAdds = 1_000_000
    #expect(abs(result.summary.imagesPerSecond - 8 / 0.3) < 1e-9)
    #expect(
      zip(result.summary.imagesPerSecondQuartiles, [8 / 0.4, 8 / 0.2]).allSatisfy { abs($0 - $1) < 1e-9 })
    #expect(abs(result.summary.gigaflops - 2e-3 * 8 / 0.3) < 1e-12)
    result.settings.mode = .train
    #expect(abs(result.summary.gigaflops - 6e-3 * 8 / 0.3) < 1e-12)

    var merged = result
    var other = result
    (other.latencies, other.peakMemoryBytes) = ([9], result.peakMemoryBytes + 1)
    merged.merge(other)
    #expect(merged.latencies.count == 6)
    #expect(merged.peakMemoryBytes == other.peakMemoryBytes)
    #expect(merged.buildSeconds.count == 2)
  }

  @Test(arguments: [(0.012345, "0.0123"), (9.996, "10.00"), (123.4, "123"), (0, "0"), (54_321.0, "54321")])
  func shortNumbers(value: Double, expected: String) { #expect(BenchmarkTable.short(value) == expected) }
}

@Suite struct BenchmarkCommandTests {
  private let quick = ["--iterations", "2", "--warm-up", "0", "--threads", "1", "--size", "32"]

  @Test(arguments: [
    ["--mode", "train", "--dtype", "float64"], ["--dtype", "bfloat16"],
    ["--mode", "train", "--dtype", "float16"],
    ["--kernel", "naive", "--layout", "channels_last"],
  ])
  func everySettingIsMeasured(options: [String]) throws {
    let result = try Tool.run(
      ["benchmark", "sparx_mamba_micro", "--json", "--device", "cpu"] + quick + options)
    #expect(result.status == 0, "\(result.errors)")
    let object = try JSONDecoder().decode(JSON.self, from: Data(result.output.utf8))
    let kernel = options.contains("naive") ? "naive" : "compiled"
    #expect(try object["engine"]["scan_kernel"].string() == kernel)
    let settings = try object["cases"][0]["settings"].object()
    for (option, value) in zip(options, options.dropFirst()) where option.hasPrefix("--") {
      #expect(settings[String(option.dropFirst(2))] == .string(value))
    }
  }

  @Test func roundsOverCasesCountTogether() throws {
    let result = try Tool.run(
      ["benchmark", "sparx_mamba_micro", "--batch", "1,3", "--rounds", "2", "--json", "--samples"] + quick)
    #expect(result.status == 0, "\(result.errors)")
    let object = try JSONDecoder().decode(JSON.self, from: Data(result.output.utf8))
    #expect(try object["is_interrupted"].bool() == false)
    #expect(try object["engine"]["threads"].int() == 1)
    #expect(try object["load_average"].number() >= 0)
    let cases = try object["cases"].array()
    #expect(try cases.map { try $0["settings"]["batch"].int() } == [1, 3])
    for item in cases {
      #expect(try item["latencies"].numbers().count == 4)
      #expect(try item["summary"]["calls"].int() == 4)
      #expect(try item["start_up_seconds"].numbers().count == 2)
      #expect(try item["peak_memory_bytes"].int() > 50 << 20)
      let summary = try item["summary"].object()
      #expect(try #require(summary["p50"]).number() <= #require(summary["p99"]).number())
      #expect(try #require(summary["images_per_second"]).number() > 0)
    }
  }

  @Test func scansOfEachStage() throws {
    let arguments = ["benchmark", "--scan", "sparx_mamba_micro", "--device", "cpu", "--threads", "1"]
    let result = try Tool.run(arguments + ["--iterations", "1", "--warm-up", "0", "--json"])
    #expect(result.status == 0, "\(result.errors)")
    let report = try JSONDecoder().decode(JSON.self, from: Data(result.output.utf8))
    #expect(try report["engine"]["device"].string() == "cpu")
    let scans = try report["results"].array()
    let model = Architecture.sparxMambaMicro.makeModel(device: .meta)
    #expect(scans.count == model.backbone.featureInfo.count)
    for (index, scan) in scans.enumerated() {
      let shape = try scan["shape"].object()
      let size = try #require(shape["height"]).int()
      #expect(size == Architecture.sparxMambaMicro.input.size / model.backbone.featureInfo[index].stride)
      let elements = try #require(shape["channels"]).int() * size * size
      let inner = try #require(shape["rank"]).int() + 2 * #require(shape["states"]).int()
      // Map and projections are read, the result is written, all float32.
      #expect(try scan["forward"]["bytes"].int() == 4 * (2 * elements + 4 * inner * size * size))
      #expect(try scan["forward"]["seconds"].number() > 0)
      #expect(try scan["training"]["seconds"].number() > 0)
      #expect(try scan["forward"].member("byte_roof") == nil)
    }
  }

  @Test func aTableAndAFile() throws {
    let toy = try ToyProject()
    defer { toy.remove() }
    let result = try Tool.run(
      ["benchmark", "sparx_mamba_mi*", "--output", toy.path("out.json")] + quick.dropLast() + ["32,64x32"])
    #expect(result.status == 0, "\(result.errors)")
    let lines = result.output.split(separator: "\n")
    #expect(lines.count == 3)
    #expect(lines[0].hasPrefix("model "))
    #expect(lines[1].contains(" 32x32 ") && lines[2].contains(" 64x32 "))
    let file = try JSON(contentsOf: toy.root.appending(path: "out.json"))
    #expect(try file["cases"].array().count == 2)
    #expect(try file["cases"][0].member("latencies") == nil)
  }

  /// The process of a case is ended, and what is done is told.
  @Test func anInterruptedCallTellsWhatIsDone() throws {
    let running = try Tool.start(
      [
        "benchmark", "sparx_mamba_micro", "--size", "32", "--batch", "1,2", "--duration", "0.05", "--warm-up",
        "0",
      ]
        + ["--threads", "1", "--rounds", "1000", "--json"])
    let progress = running.scratch.appending(path: "errors")
    while running.process.isRunning, try !String(contentsOf: progress, encoding: .utf8).contains("round 2") {
      usleep(5000)
    }
    kill(running.process.processIdentifier, SIGINT)
    let result = try running.result()
    #expect(result.status == 130, "\(result.errors)")
    let object = try JSONDecoder().decode(JSON.self, from: Data(result.output.utf8))
    #expect(try object["is_interrupted"].bool())
    for item in try object["cases"].array() { #expect(try item["summary"]["calls"].int() >= 3) }
  }

  /// 48 TiB of images are more than any machine has.
  @Test func aCaseThatFailsIsToldAsOne() throws {
    let result = try Tool.run(
      ["benchmark", "sparx_mamba_micro", "--json", "--iterations", "1", "--warm-up", "0", "--threads", "1"]
        + ["--size", "8192", "--batch", "65536"])
    #expect(result.status == 1)
    let cases = try JSONDecoder().decode(JSON.self, from: Data(result.output.utf8))["cases"].array()
    #expect(try cases[0]["problem"].string().contains("memory"))
  }

  @Test(
    arguments: [
      ([], "name a model"), (["vgg16"], "no model is called 'vgg16'"),
      (["sparx_mamba_micro", "--size", "31"], "--size expects height and width"),
      (["sparx_mamba_micro", "--size", "64x"], "--size expects height and width"),
      (["sparx_mamba_micro", "--size", "64,"], "--size expects values"),
      (["sparx_mamba_micro", "--batch", "0"], "--batch must list"),
      (["sparx_mamba_micro", "--batch", "1,two"], "--batch must list"),
      (["sparx_mamba_micro", "--iterations", "0"], "--iterations must be"),
      (["sparx_mamba_micro", "--duration", "nan"], "--duration must be"),
      (["sparx_mamba_micro", "--warm-up=-1"], "--warm-up must be"),
      (["sparx_mamba_micro", "--duration", "1", "--iterations", "1"], "either --duration or --iterations"),
      (["sparx_mamba_micro", "--rounds", "0"], "--rounds must be"),
      (["sparx_mamba_micro", "--samples"], "--samples goes with"),
      (["sparx_mamba_micro", "--dtype", "int8"], "'int8' is invalid"),
      (["sparx_mamba_micro", "--device", "cuda:99"], "--device cuda:99: "),
      (["sparx_mamba_micro", "--device", "cpu", "--graph"], "--graph is for GPUs"),
      (["sparx_mamba_micro", "--mode", "train", "--graph"], "--graph is for inference"),
      (["--scan", "--size", "64"], "--scan takes no --size"),
      (["--scan", "convnext_tiny", "--device", "cpu"], "convnext_tiny has no 2-D scan"),
      (["sparx_mamba_micro", "--mode", "both"], "'both' is invalid"),
    ] as [([String], String)])
  func badInputEndsInOneSentence(arguments: [String], words: String) throws {
    let result = try Tool.run(["benchmark"] + arguments)
    #expect(result.status != 0 && result.status < 128)
    #expect(result.errors.contains(words), "\(result.errors)")
    #expect(result.output.isEmpty)
  }
}
