import Foundation
import TestSupport
import Testing
import Torch

#if canImport(Glibc)
  import Glibc
#endif

/// Long runs of small steps, each in a process of its own so that other tests' memory does not count.
@Suite(.enabled(if: canReadResidentMemory, "resident memory is read from /proc, which Linux has"))
struct SoakTests {
  @Test func trainingKeepsItsMemory() async {
    await #expect(processExitsWith: .success) {
      Engine.threadCount = 1
      let parameters = [[16, 8], [16], [4, 16], [4]].map {
        Tensor.filled($0, key: "\($0)").requiringGradient()
      }
      let optimizer = AdamW([ParameterGroup(parameters, weightDecay: 0.01)])
      let (x, target) = (Tensor.filled([8, 8], key: "x"), Tensor.filled([8, 4], key: "t"))
      var losses: [Double] = []
      let slope = residentBytesPerStep(10_000) { step in
        let y = x.linear(parameters[0], bias: parameters[1]).gelu().linear(parameters[2], bias: parameters[3])
        let loss = y.meanSquaredError(target)
        loss.backward()
        clipGradients(of: parameters, toNorm: 1)
        optimizer.step(learningRate: 1e-3)
        for parameter in parameters { parameter.gradient = nil }
        if step % 1000 == 0 { losses.append(loss.item()) }
      }
      #expect(slope < 1024, "\(slope) bytes a step")
      #expect((losses.last ?? .nan) < 0.1 * losses[0], "\(losses)")
    }
  }

  @Test func checkpointsAndCustomFunctionsKeepTheirMemory() async {
    await #expect(processExitsWith: .success) {
      Engine.threadCount = 1
      let w = Tensor.filled([64, 64], key: "w").requiringGradient()
      let x = Tensor.filled([64, 64], key: "x").requiringGradient()
      // 16 KB a tensor: losing one closure or handle a step would show sixteenfold.
      let slope = residentBytesPerStep(1000) { step in
        let y = checkpoint([x], parameters: [w]) { inputs in
          let scaled = customFunction("double", of: inputs) {
            [$0[0] * 2]
          } backward: { outgoing in
            [outgoing[0].map { $0 * 2 }]
          }
          return [scaled[0].linear(w).silu(), inputs[0] + 1]
        }
        if step % 3 == 0 { return }  // a graph whose backward pass never runs
        if step % 3 == 1 {
          y[0].sum().backward()
        } else {
          _ = gradients(of: [y[0].sum(), y[1].sum()], withRespectTo: [x])
        }
        (w.gradient, x.gradient) = (nil, nil)
        _ = try? withTorchErrors { w + Tensor([1.0, 2, 3]) }
      }
      #expect(slope < 1024, "\(slope) bytes a step")
    }
  }
}

#if os(Linux)
  private let canReadResidentMemory = true
#else
  private let canReadResidentMemory = false
#endif

/// The slope, by least squares, of resident memory over the second half of `steps` runs of `body`.
private func residentBytesPerStep(_ steps: Int, _ body: (Int) -> Void) -> Double {
  var samples: [(x: Double, y: Double)] = []
  for step in 0..<steps {
    body(step)
    if step >= steps / 2, step % 20 == 0 { samples.append((Double(step), residentBytes())) }
  }
  let count = Double(samples.count)
  let (meanX, meanY) = (samples.map(\.x).reduce(0, +) / count, samples.map(\.y).reduce(0, +) / count)
  let covariance = samples.reduce(0) { $0 + ($1.x - meanX) * ($1.y - meanY) }
  return covariance / samples.reduce(0) { $0 + ($1.x - meanX) * ($1.x - meanX) }
}

private func residentBytes() -> Double {
  guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else { return .nan }
  let pages = text.split(separator: " ").dropFirst().first.flatMap { Double($0) } ?? .nan
  return pages * Double(sysconf(Int32(_SC_PAGESIZE)))
}
