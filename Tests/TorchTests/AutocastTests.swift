import TestSupport
import Testing
import Torch

@Suite struct AutocastTests {
  private let x = Tensor.filled([2, 3, 4, 4], key: "x")
  private let w = Tensor.filled([5, 3, 1, 1], key: "w")

  @Test func productsAndConvolutionsAreCast() {
    withAutocast(.bfloat16, on: .cpu) {
      #expect(x.conv2d(w).dtype == .bfloat16)
      #expect(x.matmul(x).dtype == .bfloat16)
      #expect(x.linear(Tensor.ones([2, 4])).dtype == .bfloat16)
      #expect((x + x).dtype == .float32)
      withAutocast(nil, on: .cpu) { #expect(x.conv2d(w).dtype == .float32) }
      #expect(x.conv2d(w).dtype == .bfloat16)
      withAutocast(.float16, on: .cpu) { #expect(x.conv2d(w).dtype == .float16) }
      #expect(x.conv2d(w).dtype == .bfloat16)
    }
    #expect(x.conv2d(w).dtype == .float32)
    expectClose(withAutocast(.bfloat16, on: .cpu) { x.conv2d(w) }.to(.float32), x.conv2d(w), 1e-2)
  }

  @Test func anErrorLeavesNoCastBehind() {
    struct Stop: Error {}
    #expect(throws: Stop.self) { try withAutocast(.bfloat16, on: .cpu) { throw Stop() } }
    #expect(x.conv2d(w).dtype == .float32)
  }

  // LibTorch keeps the narrow copies of parameters; one made without recording must not be used with it.
  @Test func parametersUsedWithoutRecordingFirstStillGetGradients() {
    let parameter = w.clone().requiringGradient()
    withAutocast(.bfloat16, on: .cpu) {
      _ = withoutGradients { x.conv2d(parameter) }
      x.conv2d(parameter).to(.float32).sum().backward()
    }
    #expect(parameter.gradient.map { $0.abs().sum().item() > 0 } == true)
    #expect(parameter.gradient?.dtype == .float32)
  }
}
