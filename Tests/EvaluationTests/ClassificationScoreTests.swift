import Data
import Evaluation
import Layers
import Testing
import Torch

@Suite struct ClassificationScoreTests {
  /// Seven classes; the label's rank among the logits is 1, 2, 5, 6 and 1.
  @Test func countsByHand() {
    let rows: [[Float]] = [
      [9, 0, 0, 0, 0, 0, 0],  // label 0
      [1, 9, 8, 0, 0, 0, 0],  // label 2
      [9, 8, 7, 6, 5, 0, 0],  // label 4
      [9, 8, 7, 6, 5, 4, 0],  // label 5
      [0, 0, 0, 0, 0, 0, 3],  // label 6
    ]
    var score = ClassificationScore(classes: 7)
    score.add(Tensor(rows[0] + rows[1], [2, 7]), [0, 2])
    score.add(Tensor(rows[2] + rows[3] + rows[4], [3, 7]), [4, 5, 6])
    #expect(score.count == 5)
    #expect(score.top1 == 40)
    #expect(score.top5 == 80)
    #expect(score.confusion[2][1] == 1)
    #expect(score.confusion[4][0] == 1)
    #expect(score.confusion[6][6] == 1)
    #expect(score.perClass[0] == 100)
    #expect(score.perClass[2] == 0)
    #expect(score.perClass[1] == nil)
  }

  @Test func theLossIsTheMeanOverSamplesNotBatches() {
    // Equal logits cost log 2 whatever the label; a difference of d costs log(1 + e^-d) on the right side.
    var score = ClassificationScore(classes: 2)
    score.add(Tensor([0, 0, 0, 0, 0, 0] as [Float], [3, 2]), [0, 1, 0])
    score.add(Tensor([2, 0] as [Float], [1, 2]), [0])
    let expected = (3 * 0.6931471805599453 + 0.1269280110429726) / 4
    #expect(abs(score.loss - expected) < 1e-6)
  }

  @Test func anEmptyScoreIsZero() {
    let score = ClassificationScore(classes: 3)
    #expect((score.top1, score.top5, score.loss) == (0, 0, 0))
  }

  @Test func fewerThanFiveClassesAreAllInTheTopFive() {
    var score = ClassificationScore(classes: 3)
    score.add(Tensor([3, 2, 1] as [Float], [1, 3]), [2])
    #expect(score.top5 == 100)
    #expect(score.top1 == 0)
  }

  @Test func wrongLogitsAreNamed() {
    #expect(throws: TorchError("ClassificationScore: expected logits [1, 3], got [1, 2]")) {
      try withTorchErrors {
        var score = ClassificationScore(classes: 3)
        score.add(Tensor([0, 0] as [Float], [1, 2]), [0])
      }
    }
  }
}

@Suite struct EvaluateTests {
  /// The grey value of a picture as a logit of its class, and nothing for the others.
  private struct Brightness: Layer {
    func callAsFunction(_ x: Tensor) -> Tensor {
      let mean = x.mean(1, 2, 3).reshape(-1, 1)  // [B, 1]
      return concatenate([-mean, mean], along: 1)
    }
  }

  private struct Greys: Dataset {
    let values: [UInt8]
    var count: Int { values.count }
    var classNames: [String] { ["dark", "light"] }
    func sample(at index: Int) -> (image: Image, label: Int) {
      let value = values[index]
      return (Image(height: 8, width: 8, red: value, green: value, blue: value), index % 2)
    }
  }

  @Test(arguments: [1, 2, 3, 5, 8]) func everySampleCountsOnceInAnyBatchSize(batchSize: Int) async throws {
    // Labels alternate dark, light; the third and the last picture are of the other brightness.
    let loader = DataLoader(
      Greys(values: [10, 250, 240, 200, 0, 20, 30]), batchSize: batchSize,
      preprocessing: Preprocessing([], normalization: .symmetric), order: .sequential)
    let score = try await evaluate(Brightness(), on: loader, workers: 1)
    #expect(score.confusion == [[3, 1], [1, 2]])
  }

  @Test func stopsWhenAsked() async throws {
    let loader = DataLoader(
      Greys(values: [1, 2, 3]), batchSize: 1, preprocessing: Preprocessing([]), order: .sequential)
    await #expect(throws: CancellationError.self) {
      _ = try await evaluate(Brightness(), on: loader, workers: 1, whileTrue: { false })
    }
  }
}
