// Times the scan of a feature map in four directions at the shapes of SparX-Mamba-T's stages: the compiled kernel and
// the naive definition, forward and forward with backward. One JSON object a line on standard output, in the form of
// the peers under Benchmarks/peers.
import CMachine
import Foundation
import Scan
import Torch

struct Shape {
  let channels: Int
  let side: Int
  let rank: Int
}

struct Options {
  var batch = 8
  var naiveBatch = 1
  var threads = 2
  var repetitions = 15
  var naiveRepetitions = 3
  var capability: String?

  init(_ arguments: [String]) {
    var rest = arguments[...]
    while let name = rest.popFirst() {
      guard let value = rest.popFirst() else { fail("\(name) needs a value") }
      switch name {
      case "--batch": batch = number(value)
      case "--naive-batch": naiveBatch = number(value)
      case "--threads": threads = number(value)
      case "--repetitions": repetitions = number(value)
      case "--naive-repetitions": naiveRepetitions = number(value)
      case "--capability": capability = value
      default: fail("unknown option \(name)")
      }
    }
  }

  private func number(_ text: String) -> Int {
    guard let value = Int(text), value >= 0 else { fail("expected a number, got \(text)") }
    return value
  }
}

func fail(_ sentence: String) -> Never {
  FileHandle.standardError.write(Data("scan2d: \(sentence)\n".utf8))
  exit(2)
}

/// Milliseconds of each run, after warm-up.
func times(_ repetitions: Int, _ body: () -> Void) -> [Double] {
  let clock = ContinuousClock()
  for _ in 0..<(repetitions > 4 ? 3 : 1) { body() }
  return (0..<repetitions).map { _ in
    let elapsed = clock.measure(body)
    return Double(elapsed.components.seconds) * 1e3 + Double(elapsed.components.attoseconds) * 1e-15
  }
}

func report(_ name: String, _ shape: Shape, batch: Int, _ direction: String, _ samples: [Double]) {
  guard !samples.isEmpty else { return }
  let sorted = samples.sorted()
  write([
    "name": name, "shape": [batch, shape.channels, shape.side, shape.side], "rank": shape.rank,
    "direction": direction, "median_ms": sorted[sorted.count / 2],
    "spread_ms": sorted[sorted.count - 1] - sorted[0], "threads": options.threads,
  ])
}

func write(_ record: [String: Any]) {
  guard let data = try? JSONSerialization.data(withJSONObject: record, options: [.sortedKeys]) else { return }
  FileHandle.standardOutput.write(data + Data("\n".utf8))
}

let options = Options(Array(CommandLine.arguments.dropFirst()))
Engine.threadCount = options.threads
do { try Engine.setScanCapability(options.capability) } catch { fail("\(error)") }
FileHandle.standardError.write(
  Data("LibTorch \(Engine.version), \(Engine.threadCount) threads, kernel \(Engine.scanCapability)\n".utf8))

let stages = [
  Shape(channels: 192, side: 56, rank: 6), Shape(channels: 384, side: 28, rank: 12),
  Shape(channels: 640, side: 14, rank: 20), Shape(channels: 1024, side: 7, rank: 32),
]

/// Times the kernel, the kernel with its projections, and on request the definition, for one batch of one shape.
func benchmark(_ shape: Shape, batch: Int, naive: Bool) {
  let (B, D, S, R, N) = (batch, shape.channels, shape.side, shape.rank, 1)
  func draw(_ sizes: [Int], _ low: Double, _ high: Double, _ seed: UInt64) -> Tensor {
    Tensor.uniform(sizes, low: low, high: high, generator: Generator(seed: seed)).requiringGradient()
  }
  let x = draw([B, D, S, S], -1, 1, 1)
  let scan = Scan2D(
    projection: draw([4 * (R + 2 * N), D, 1], -0.1, 0.1, 2), deltaWeight: draw([4, D, R], -0.3, 0.3, 3),
    deltaBias: draw([4, D], -6, -2, 4), logA: draw([4 * D, N], 0, 1, 5), skip: draw([4 * D], 0.5, 1.5, 6))
  let projections = scan.projection.detached().squeeze(2).matmul(x.detached().flatten(from: 2))
    .requiringGradient()
  let decay = (-scan.logA.exp()).detached().requiringGradient()
  let probe = draw([B, D, S, S], -1, 1, 7).detached()
  let leaves = [
    x, projections, scan.projection, scan.deltaWeight, scan.deltaBias, scan.logA, scan.skip, decay,
  ]
  func timed(_ name: String, _ repetitions: Int, _ body: () -> Tensor) {
    report(name, shape, batch: B, "forward", times(repetitions) { _ = withoutGradients { body() } })
    report(
      name, shape, batch: B, "forward+backward",
      times(repetitions) {
        for leaf in leaves { leaf.gradient = nil }
        body().backward(probe)
      })
  }
  timed("ganglion one-pass", options.repetitions) {
    Tensor.scan2D(
      x, projections: projections, deltaWeight: scan.deltaWeight, deltaBias: scan.deltaBias, a: decay, d: scan.skip)
  }
  timed("ganglion one-pass with its projections", options.repetitions) { scan(x, .compiled) }
  if naive { timed("ganglion naive definition", options.naiveRepetitions) { scan(x, .naive) } }
}

/// What the machine does at best, measured here and now: multiply-adds in registers on all threads, bytes of a copy.
func measureMachine() {
  let rounds: Int64 = 20_000_000
  let (threads, capability) = (options.threads, Engine.scanCapability)
  let arithmetic = times(5) {
    DispatchQueue.concurrentPerform(iterations: threads) { _ in _ = machine_multiply_adds(capability, rounds) }
  }
  let total = Int64(threads) * machine_multiply_adds(capability, 1) * rounds
  let source = Tensor.zeros([64 << 20])
  let target = source.clone()
  let copy = times(7) { target.copy(from: source) }
  write([
    "name": "machine", "kernel": capability, "libtorch": Engine.version, "threads": threads,
    "fma_per_s": Double(total) / (arithmetic.min() ?? 1) * 1e3,
    "bytes_per_s": Double(2 * 4 * source.count) / (copy.min() ?? 1) * 1e3,
  ])
}

measureMachine()
for shape in stages {
  benchmark(shape, batch: options.batch, naive: false)
  benchmark(shape, batch: options.naiveBatch, naive: true)
}
