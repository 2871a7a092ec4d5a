import Backbones
import Layers
import Scan
import Testing
import Torch

/// Sizes of the published models, counted from the official code.
@Suite struct PublishedCountTests {
  /// Parameters and multiply-adds at the model's own size, and how many millions and thousand millions at most what the
  /// authors print is off.
  ///
  /// The authors of TransXNet leave out a part of the attention's.
  @Test(
    arguments: [
      (Architecture.sparxMambaTiny, 27_051_794, 5_253_995_648, (2.1, 0.06)),
      (.sparxMambaSmall, 47_444_712, 9_260_366_432, (0.6, 0.06)),
      (.sparxMambaBase, 83_536_168, 15_900_486_456, (0.6, 0.06)),
      (.mambaOutFemto, 7_304_536, 1_147_984_992, (0.06, 0.07)),
      (.mambaOutKobe, 9_141_208, 1_505_865_312, (0.06, 0.07)),
      (.mambaOutTiny, 26_545_096, 4_469_655_744, (0.06, 0.07)),
      (.mambaOutSmall, 48_488_072, 8_936_423_616, (0.06, 0.07)),
      (.mambaOutBase, 84_813_092, 15_794_325_760, (0.06, 0.07)),
      (.convNeXtTiny, 28_589_128, 4_455_531_264, (0.06, 0.07)),
      (.convNeXtSmall, 50_223_688, 8_683_712_256, (0.06, 0.07)),
      (.convNeXtBase, 88_591_464, 15_354_729_472, (0.06, 0.07)),
      (.resNet50, 25_557_032, 4_089_184_256, (0.06, 0.07)),
      (.vmambaTinyS1L8, 30_249_064, 4_875_843_072, (0.5, 0.11)),
      (.vmambaTinyS2L5, 30_705_832, 4_824_588_288, (0.5, 0.11)),
      (.vmambaSmallS2L15, 50_147_752, 8_667_568_128, (0.5, 0.11)),
      (.vmambaSmallS1L20, 49_012_840, 8_568_897_024, (0.5, 0.11)),
      (.vmambaBaseS2L15, 88_557_800, 15_294_668_800, (0.5, 0.11)),
      (.vmambaBaseS1L20, 86_614_504, 15_163_107_328, (0.5, 0.11)),
      (.vanillaVMambaTiny, 22_893_448, 5_597_700_096, (0.5, 0.11)),
      (.vanillaVMambaSmall, 44_417_416, 11_181_987_840, (0.5, 0.11)),
      (.vanillaVMambaBase, 76_254_056, 17_953_595_392, (0.5, 0.11)),
      (.transXNetTiny, 12_834_808, 1_807_090_360, (0.06, 0.09)),
      (.transXNetSmall, 26_864_068, 4_607_231_232, (0.06, 0.23)),
      (.transXNetBase, 48_009_002, 8_352_984_512, (0.06, 0.4)),
      (.transXNetBase384, 48_009_002, 25_239_739_152, (0.06, 1.2)),
    ] as [(Architecture, Int, Int, (Double, Double))])
  func countsAreTheOfficialOnes(
    _ architecture: Architecture, _ parameters: Int, _ multiplyAdds: Int,
    _ tolerance: (parameters: Double, multiplyAdds: Double)
  ) throws {
    let model = architecture.makeModel(device: .meta)
    #expect(model.store.parameterCount == parameters)
    let (height, width) = architecture.input.imageSize
    let counts = model.multiplyAdds(height: height, width: width)
    #expect(Set(counts.keys) == ["stem", "stage1", "stage2", "stage3", "stage4", "head"])
    #expect(counts.values.reduce(0, +) == multiplyAdds)
    let reported = try #require(architecture.publication?.reported)
    #expect(abs(reported.parameters - Double(parameters) / 1e6) < tolerance.parameters)
    #expect(abs(try #require(reported.multiplyAdds) - Double(multiplyAdds) / 1e9) < tolerance.multiplyAdds)
  }

  @Test func countsDoNotDependOnTheScanKernel() {
    let model = Architecture.sparxMambaMicro.makeModel()
    let compiled = model.multiplyAdds(height: 64, width: 64)
    #expect(withScanKernel(.naive) { model.multiplyAdds(height: 64, width: 64) } == compiled)
  }

  @Test(arguments: Architecture.allCases) func preprocessingIsSane(_ architecture: Architecture) {
    let preprocessing = architecture.input
    #expect(preprocessing.size >= 32)
    #expect((0.5...1).contains(preprocessing.cropFraction))
    #expect(preprocessing.mean.count == 3 && preprocessing.deviation.allSatisfy { $0 > 0 })
  }
}
