import Foundation
import Scan
import Testing
import Torch

@Suite struct EngineDescriptionTests {
  @Test func whatComputesIsDescribed() {
    let engine = EngineDescription()
    #expect(engine.libtorch == Engine.version)
    #expect(engine.threads == Engine.threadCount)
    #expect(engine.capability == Engine.cpuCapability)
    #expect(engine.scan == "compiled (\(Engine.scanCapability))")
    #expect(engine.line.hasPrefix("LibTorch \(Engine.version) on cpu, "))
    #expect(engine.line.hasSuffix("scan kernel: \(engine.scan)"))
    #expect(!engine.machine.processor.isEmpty && engine.machine.cores > 0)
    #expect(engine.machine.memoryBytes > 1 << 28)
    #expect(throws: Never.self) { try Date(engine.date, strategy: .iso8601) }
  }

  @Test func theDefinitionHasNoInstructionSet() {
    let engine = withScanKernel(.naive) { EngineDescription(device: .cuda(1)) }
    #expect(engine.scan == "naive")
    #expect(engine.scanCapability == nil)
    #expect(engine.device == "cuda:1")
  }

  @Test func aGPUIsNamedWithItsArithmetic() {
    let engine = EngineDescription(device: .cuda(1))
    #expect(engine.scan == "compiled (cuda)")
    #expect(engine.line.hasPrefix("LibTorch \(Engine.version) on cuda:1 ("))
    #expect(engine.line.hasSuffix("TF32 off); scan kernel: compiled (cuda)"), "\(engine.line)")
    #expect(engine.tf32 == false)
    #expect(EngineDescription().gpu == nil && EngineDescription().tf32 == nil)
  }

  @Test func aDescriptionOfAnEarlierVersionIsRead() throws {
    let text = """
      {"libtorch": "2.11.0", "device": "cpu", "threads": 2, "capability": "AVX2", "scanKernel": "compiled",
      "scanCapability": "avx2", "date": "2026-11-20T10:00:00Z", "machine": {"processor": "a", "cores": 2,
      "instructionSets": [], "memoryBytes": 1, "system": "b"}}
      """
    let engine = try JSONDecoder().decode(EngineDescription.self, from: Data(text.utf8))
    #expect(engine.line == "LibTorch 2.11.0 on cpu, 2 threads; scan kernel: compiled (avx2)")
  }

  @Test func aDescriptionComesBackFromJSON() throws {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    let engine = EngineDescription()
    #expect(try decoder.decode(EngineDescription.self, from: encoder.encode(engine)) == engine)
  }
}
