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

  @Test func aDescriptionComesBackFromJSON() throws {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    let engine = EngineDescription()
    #expect(try decoder.decode(EngineDescription.self, from: encoder.encode(engine)) == engine)
  }
}
