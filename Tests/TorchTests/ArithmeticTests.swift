import Foundation
import TestSupport
import Testing
import Torch

@Suite struct ArithmeticTests {
  private let a = Tensor([1.0, -2, 3, 0.5], [2, 2])
  private let row = Tensor([2.0, 4])

  @Test func broadcasting() {
    expectEqual(a + row, [3, 2, 5, 4.5], [2, 2])
    expectEqual(a - row, [-1, -6, 1, -3.5], [2, 2])
    expectEqual(a * row, [2, -8, 6, 2], [2, 2])
    expectEqual(a / row, [0.5, -0.5, 1.5, 0.125], [2, 2])
    expectEqual(row.unsqueeze(1) * row, [4, 8, 8, 16], [2, 2])
  }

  @Test func numbers() {
    expectEqual(a + 1, [2, -1, 4, 1.5], [2, 2])
    expectEqual(1 + a, [2, -1, 4, 1.5], [2, 2])
    expectEqual(a - 1, [0, -3, 2, -0.5], [2, 2])
    expectEqual(1 - a, [0, 3, -2, 0.5], [2, 2])
    expectEqual(a * -2, [-2, 4, -6, -1], [2, 2])
    expectEqual(-2 * a, [-2, 4, -6, -1], [2, 2])
    expectEqual(a / 2, [0.5, -1, 1.5, 0.25], [2, 2])
    expectEqual(3 / row, [1.5, 0.75], [2])
    expectEqual(-a, [-1, 2, -3, -0.5], [2, 2])
  }

  @Test func wholeNumbersLeaveIntegersIntegers() {
    let labels = Tensor([3, 4])
    for result in [labels + 1, 1 + labels, labels - 1, 1 - labels, labels * 2, 2 * labels] {
      #expect(result.dtype == .int64)
    }
    expectEqual(10 - labels, [7, 6], [2])
    #expect((labels + 0.5).dtype == .float32)
    #expect((labels / 2).dtype == .float32)
    expectEqual(labels / 2, [1.5, 2], [2])
    #expect((Tensor([Float(1)]) + 1).dtype == .float32)
  }

  @Test func comparisons() {
    let b = Tensor([1.0, 0, 3, 1], [2, 2])
    expectEqual(a .== b, [1, 0, 1, 0], [2, 2])
    expectEqual(a .!= b, [0, 1, 0, 1], [2, 2])
    expectEqual(a .< b, [0, 1, 0, 1], [2, 2])
    expectEqual(a .> b, [0, 0, 0, 0], [2, 2])
    expectEqual(a .<= b, [1, 1, 1, 1], [2, 2])
    expectEqual(a .>= b, [1, 0, 1, 0], [2, 2])
    expectEqual(a .== 3, [0, 0, 1, 0], [2, 2])
    expectEqual(a .!= 3, [1, 1, 0, 1], [2, 2])
    expectEqual(a .< 1, [0, 1, 0, 1], [2, 2])
    expectEqual(a .<= 1, [1, 1, 0, 1], [2, 2])
    expectEqual(a .> 1, [0, 0, 1, 0], [2, 2])
    expectEqual(a .>= 1, [1, 0, 1, 0], [2, 2])
    expectEqual((a .> 0) .& (a .< 1), [0, 0, 0, 1], [2, 2])
    expectEqual(!(a .> 0), [0, 1, 0, 0], [2, 2])
    #expect((a .> 0).dtype == .bool)
    expectEqual(maximum(a, b), [1, 0, 3, 1], [2, 2])
    expectEqual(minimum(a, b), [1, -2, 3, 0.5], [2, 2])
  }

  struct Function: CustomTestStringConvertible {
    let name: String, apply: @Sendable (Tensor) -> Tensor, reference: @Sendable (Double) -> Double
    var low = 0.1, high = 2.0, isSmooth = true
    var testDescription: String { name }
  }

  @Test(arguments: [
    Function(name: "abs", apply: { $0.abs() }, reference: { $0.magnitude }, low: -2),
    Function(name: "exp", apply: { $0.exp() }, reference: { exp($0) }, low: -2),
    Function(name: "expm1", apply: { $0.expm1() }, reference: { expm1($0) }, low: -1e-3, high: 1e-3),
    Function(name: "log", apply: { $0.log() }, reference: { log($0) }),
    Function(name: "log1p", apply: { $0.log1p() }, reference: { log1p($0) }, low: -1e-3, high: 1e-3),
    Function(name: "sqrt", apply: { $0.sqrt() }, reference: { $0.squareRoot() }),
    Function(name: "rsqrt", apply: { $0.rsqrt() }, reference: { 1 / $0.squareRoot() }),
    Function(name: "sin", apply: { $0.sin() }, reference: { sin($0) }, low: -4, high: 4),
    Function(name: "cos", apply: { $0.cos() }, reference: { cos($0) }, low: -4, high: 4),
    Function(name: "tanh", apply: { $0.tanh() }, reference: { tanh($0) }, low: -4, high: 4),
    Function(name: "pow", apply: { $0.pow(2.5) }, reference: { pow($0, 2.5) }),
    Function(name: "reciprocal", apply: { 3 / $0 }, reference: { 3 / $0 }),
    Function(
      name: "floor", apply: { $0.floor() }, reference: { $0.rounded(.down) }, low: -2, isSmooth: false),
    Function(
      name: "round", apply: { ($0 * 2).round() }, reference: { (2 * $0).rounded(.toNearestOrEven) }, low: -2,
      isSmooth: false),
    Function(
      name: "sign", apply: { $0.sign() }, reference: { $0 > 0 ? 1 : -1 }, low: -2, isSmooth: false),
    Function(name: "clamped", apply: { $0.clamped(-0.5, 1) }, reference: { min(max($0, -0.5), 1) }, low: -2),
    Function(name: "clamped above", apply: { $0.clamped(nil, 1) }, reference: { min($0, 1) }),
    Function(name: "clamped below", apply: { $0.clamped(1, nil) }, reference: { max($0, 1) }),
  ])
  func functionsAgreeWithTheLibrary(_ function: Function) {
    let x = Tensor.filled([37], key: function.name, low: function.low, high: function.high, dtype: .float64)
    let expected = x.array(Double.self).map(function.reference)
    expectClose(function.apply(x), expected, 1e-14, function.name)
    if function.isSmooth { gradientCheck(function.name, [x]) { function.apply($0[0]) } }
  }

  @Test func halvesRoundToEven() {
    expectEqual(Tensor([0.5, 1.5, -0.5, 2.5]).round(), [0, 2, 0, 2], [4])
  }

  @Test func whatIsNotFinite() {
    let x = Tensor([1, Double.nan, .infinity, -.infinity])
    expectEqual(x.isNaN(), [0, 1, 0, 0], [4])
    expectEqual(x.isFinite(), [1, 0, 0, 0], [4])
  }

  @Test func products() {
    let m = Tensor([1.0, 2, 3, 4, 5, 6], [2, 3])
    expectEqual(m.matmul(m.transpose(0, 1)), [14, 32, 32, 77], [2, 2])
    expectShape(Tensor.ones([5, 2, 3]).matmul(Tensor.ones([3, 4])), [5, 2, 4])
    expectEqual(einsum("ij,kj->ik", m, m), [14, 32, 32, 77], [2, 2])
    expectEqual(einsum("ij->j", m), [5, 7, 9], [3])
    gradientCheck("matmul", [Tensor.filled([2, 3], key: "a"), Tensor.filled([3, 2], key: "b")]) {
      $0[0].matmul($0[1])
    }
  }

  @Test func changesInPlace() {
    let x = Tensor([1.0, 2])
    let alias = x
    x.add(Tensor([10.0, 20]), scale: 0.5)
    expectEqual(alias, [6, 12], [2])
    x.multiply(by: 2)
    expectEqual(alias, [12, 24], [2])
    x.multiply(by: Tensor([0.5, 1]))
    expectEqual(alias, [6, 24], [2])
    x.copy(from: Tensor([Float(1.5), 2.5]))
    expectEqual(alias, [1.5, 2.5], [2])
    x.fill(-1)
    expectEqual(alias, [-1, -1], [2])
    #expect(alias.dtype == .float64)
  }

  @Test func movingAverages() {
    let averages = [Tensor([1.0, 2]), Tensor([3.0])]
    interpolate(averages, towards: [Tensor([3.0, 4]), Tensor([1.0])], weight: 0.25)
    expectEqual(averages[0], [1.5, 2.5], [2])
    expectEqual(averages[1], [2.5], [1])
  }
}
