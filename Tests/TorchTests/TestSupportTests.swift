import Foundation
import TestSupport
import Testing
import Torch

/// The checks that all other tests lean on must themselves be able to fail.
@Suite struct TestSupportTests {
  @Test func closenessIsRelativeToTheLargestExpected() {
    #expect(relativeError(Tensor([1.0, 101]), Tensor([1.0, 100])) == 0.01)
    #expect(relativeError(Tensor([0.5]), Tensor([0.0])) == 0.5)
    #expect(relativeError(Tensor([Double.infinity, 1]), Tensor([Double.infinity, 1])) == 0)
    #expect(relativeError(Tensor([Double.nan, 1]), Tensor([1.0, 1])).isNaN)
    #expect(relativeError(Tensor([Double.infinity, 1]), Tensor([1.0, 1])) == .infinity)
  }

  @Test func differencesAreRecordedWithTheWorstElement() {
    withKnownIssue {
      expectClose(Tensor([1.0, 2, 3, 5], [2, 2]), Tensor([1.0, 2, 3, 4], [2, 2]), 1e-3, "matmul")
    } matching: { issue in
      let text = issue.comments.map(\.rawValue).joined()
      return text.contains("matmul: relative error 0.25")
        && text.contains("worst at [1, 1]: 5.0, expected 4.0")
        && text.contains("1 of 4 elements")
    }
  }

  @Test func shapesMustAgreeExactly() {
    withKnownIssue { expectClose(Tensor.ones([3]), Tensor.ones([1, 3]), 1) }
    withKnownIssue { expectShape(Tensor.ones([3]), [1, 3]) }
  }

  @Test func notANumberNeverPasses() {
    withKnownIssue { expectClose(Tensor([Double.nan]), Tensor([Double.nan]), 1e9) }
    withKnownIssue {
      expectFinite(Tensor([1.0, .nan]))
    } matching: {
      $0.comments.map(\.rawValue).joined().contains("first at [1]")
    }
    expectFinite(Tensor([1.0, 2]))
  }

  @Test func gradientCheckFindsAWrongDerivative() {
    let x = Tensor.filled([2, 3], key: "x")
    gradientCheck("sin", [x]) { $0[0].sin() }
    withKnownIssue {
      gradientCheck("wrong", [x]) { inputs in
        customFunction("wrong", of: inputs) {
          [$0[0].sin()]
        } backward: {
          [$0[0].map { $0 * 1.001 }]
        }
      }
    }
  }

  @Test func gradientCheckCoversEveryInput() {
    let (x, w) = (Tensor.filled([2, 3], key: "x"), Tensor.filled([4, 3], key: "w"))
    gradientCheck("linear", [x, w, Tensor.filled([4], key: "b")]) { $0[0].linear($0[1], bias: $0[2]) }
    withKnownIssue {
      gradientCheck("no derivative for w", [x, w]) { $0[0].linear($0[1].detached()) }
    }
  }

  @Test func freshMemoryIsPoisonedOnRequest() throws {
    let empty = try Operator("empty", overload: "memory_format")
    let values = withPoisonedAllocations { empty(.ints([100])).array(Float.self) }
    #expect(values.allSatisfy { $0.isNaN })
    #expect(poisonedTensor([3]).array(Float.self).allSatisfy { $0.isNaN })
  }

  @Test func fixturesNameTheirCases() throws {
    let fixture = try Fixture("adaptive_avg_pool", in: .module)
    let pool = try fixture.case("pool_7")
    #expect(try pool.attributes["output"].ints() == [7, 7])
    #expect(try pool.input("x").shape == [1, 2, 9, 5])
    #expect(pool.testDescription == "adaptive_avg_pool/pool_7")
    #expect(throws: FixtureError.self) { try fixture.case("pool_8") }
    #expect(throws: FixtureError.self) { try pool.input("y") }
  }
}
