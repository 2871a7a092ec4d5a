import Foundation
import Layers
import TestSupport
import Testing
import Torch

@testable import Backbones

/// One map as numbers, `[C][H·W]`.
private struct Grid {
  var channels: [[Double]]
  let height: Int
  let width: Int

  init(_ channels: [[Double]], _ height: Int, _ width: Int) {
    (self.channels, self.height, self.width) = (channels, height, width)
  }

  /// Image `index` of `[B, C, H, W]`.
  init(_ x: Tensor, image index: Int) {
    let (C, H, W) = (x.size(1), x.size(2), x.size(3))
    let all = x.detached().array(Double.self)
    self.init(
      (0..<C).map { channel in
        (0..<H * W).map { all[(index * C + channel) * H * W + $0] }
      }, H, W)
  }

  /// The map with other channels.
  func with(_ channels: [[Double]]) -> Grid { Grid(channels, height, width) }

  func map(_ function: (Double) -> Double) -> Grid { with(channels.map { $0.map(function) }) }

  func channels(_ range: Range<Int>) -> Grid { with(Array(channels[range])) }

  static func + (a: Grid, b: Grid) -> Grid {
    a.with(zip(a.channels, b.channels).map { zip($0, $1).map { $0 + $1 } })
  }

  /// Maps joined along channels.
  static func joined(_ grids: [Grid]) -> Grid { grids[0].with(grids.flatMap(\.channels)) }
}

/// The aggregators by their definitions, in plain arithmetic, on the parameters of a store.
private struct Definition {
  /// Tensors by key, as numbers.
  var values: [String: [Double]]
  let width: Int
  let outputs: Int

  init(_ store: ParameterStore, width: Int, outputs: Int) {
    values = Dictionary(
      uniqueKeysWithValues: store.entries.map { ($0.key, $0.tensor.detached().to(.float64).array()) })
    (self.width, self.outputs) = (width, outputs)
  }

  private func tensor(_ key: String) -> [Double] { values[key] ?? [] }

  private func gelu(_ x: Double) -> Double { x * 0.5 * (1 + erf(x / 2.0.squareRoot())) }

  private func projected(_ x: Grid, _ key: String, groups: Int = 1) -> Grid {
    let (weight, bias) = (tensor(key + ".weight"), values[key + ".bias"])
    let inputs = x.channels.count / groups
    let outputs = weight.count / inputs
    return x.with(
      (0..<outputs).map { output in
        let first = output / (outputs / groups) * inputs
        return (0..<x.height * x.width).map { position in
          (0..<inputs).reduce(bias?[output] ?? 0) {
            $0 + weight[output * inputs + $1] * x.channels[first + $1][position]
          }
        }
      })
  }

  private func depthwise(_ x: Grid, _ key: String, kernel: Int, stride: Int = 1) -> Grid {
    let (weight, bias) = (tensor(key + ".weight"), values[key + ".bias"])
    let (H, W) = ((x.height + stride - 1) / stride, (x.width + stride - 1) / stride)
    return Grid(
      x.channels.enumerated().map { channel, values in
        (0..<H * W).map { position in
          var sum = bias?[channel] ?? 0
          for (i, j) in (0..<kernel * kernel).map({ ($0 / kernel, $0 % kernel) }) {
            let row = position / W * stride + i - kernel / 2
            let column = position % W * stride + j - kernel / 2
            if (0..<x.height).contains(row) && (0..<x.width).contains(column) {
              sum += weight[channel * kernel * kernel + i * kernel + j] * values[row * x.width + column]
            }
          }
          return sum
        }
      }, H, W)
  }

  private func batchNorm(_ x: Grid, _ key: String) -> Grid {
    let (weight, bias) = (tensor(key + ".weight"), tensor(key + ".bias"))
    let (mean, variance) = (tensor(key + ".running_mean"), tensor(key + ".running_var"))
    return x.with(
      x.channels.enumerated().map { channel, values in
        values.map {
          ($0 - mean[channel]) / (variance[channel] + 1e-5).squareRoot() * weight[channel] + bias[channel]
        }
      })
  }

  private func groupNorm(_ x: Grid, _ key: String, groups: Int = 1) -> Grid {
    let (weight, bias) = (tensor(key + ".weight"), tensor(key + ".bias"))
    let each = x.channels.count / groups
    return x.with(
      x.channels.indices.map { channel in
        let group = x.channels[channel / each * each..<(channel / each + 1) * each].flatMap { $0 }
        let mean = group.reduce(0, +) / Double(group.count)
        let variance = group.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(group.count)
        return x.channels[channel].map {
          ($0 - mean) / (variance + 1e-5).squareRoot() * weight[channel] + bias[channel]
        }
      })
  }

  /// softmax(q kᵀ / √d) v over rows.
  private func attention(_ q: [[Double]], _ k: [[Double]], _ v: [[Double]]) -> [[Double]] {
    q.map { query in
      let scores = k.map { key in
        exp(zip(query, key).reduce(0) { $0 + $1.0 * $1.1 } / Double(query.count).squareRoot())
      }
      let sum = scores.reduce(0, +)
      return v[0].indices.map { index in
        zip(scores, v).reduce(0) { $0 + $1.0 / sum * $1.1[index] }
      }
    }
  }

  private func transposed(_ x: [[Double]]) -> [[Double]] { x[0].indices.map { index in x.map { $0[index] } } }

  /// Attention over positions in heads of equal parts of the channels.
  private func overPositions(_ q: Grid, _ k: Grid, _ v: Grid, heads: Int) -> Grid {
    let each = q.channels.count / heads
    return .joined(
      (0..<heads).map { head in
        let part = head * each..<(head + 1) * each
        let attended = attention(
          transposed(Array(q.channels[part])), transposed(Array(k.channels[part])),
          transposed(Array(v.channels[part])))
        return q.with(transposed(attended))
      })
  }

  private func seenProjection(_ seen: Grid) -> Grid {
    let mixed = batchNorm(depthwise(groupNorm(seen, "d_norm"), "d_proj.0", kernel: 3), "d_proj.1").map(gelu)
    return projected(mixed, "d_proj.3").map(gelu)
  }

  private func reduced(_ x: Grid, _ key: String, by reduction: Int) -> Grid {
    let small =
      reduction > 1
      ? batchNorm(depthwise(x, key + ".0.0", kernel: reduction + 1, stride: reduction), key + ".0.1").map(
        gelu)
      : x
    return batchNorm(projected(small, key + ".1"), key + ".2")
  }

  /// Channel i of the joined maps goes to group i mod the number of maps.
  private func joinedProjection(_ parts: [Grid]) -> Grid {
    let joined = Grid.joined(parts).channels
    let each = joined.count / parts.count
    let shuffled = parts[0].with(joined.indices.map { joined[$0 % each * parts.count + $0 / each] })
    var y = projected(
      depthwise(shuffled, "in_proj.0", kernel: 3).map(gelu), "in_proj.2", groups: parts.count)
    let (have, missing) = (y.channels.count, outputs - y.channels.count)
    // Adaptive average pooling: part p is the mean of channels ⌊p·n/m⌋ to ⌈(p + 1)·n/m⌉.
    let means = (0..<missing).map { part in
      let range = part * have / missing..<((part + 1) * have + missing - 1) / missing
      return y.channels[0].indices.map { position in
        range.reduce(0) { $0 + y.channels[$1][position] } / Double(range.count)
      }
    }
    y.channels += means
    return y
  }

  private func fusion(_ x: Grid, _ key: String) -> Grid {
    let hidden = projected(x, key + ".fc1")
    let mixed = (hidden + depthwise(hidden, key + ".dwconv", kernel: 3)).map(gelu)
    return projected(mixed, key + ".fc2")
  }

  /// The aggregator's value for one image.
  func callAsFunction(_ aggregator: Aggregator, _ x: Grid, _ seen: Grid) -> Grid {
    let C = width
    switch aggregator {
    case .concatenation:
      return fusion(.joined([x, groupNorm(seen, "d_norm")]), "d_proj")
    case .queryAndValue:
      let values = batchNorm(projected(seenProjection(seen), "v.0"), "v.1")
      return fusion(.joined([reduced(x, "q", by: 1), values]), "in_proj")
    case .dynamicChannels(let configuration):
      let projection = seenProjection(seen)
      let q = reduced(x, "q", by: configuration.reduction)
      let k = reduced(projection.channels(0..<C), "k", by: configuration.reduction)
      let v = batchNorm(projected(projection.channels(C..<2 * C), "v.0"), "v.1")
      let each = C / configuration.groups
      let attended = v.with(
        (0..<configuration.groups).flatMap { group in
          let part = group * each..<(group + 1) * each
          return attention(
            Array(q.channels[part]), Array(k.channels[part]), Array(v.channels[part]))
        })
      if configuration.shortcut == .none { return joinedProjection([attended]) }
      return joinedProjection([(q.height, q.width) == (x.height, x.width) ? q : x, attended, v])
    case .spatialAttention(let configuration):
      let projection = seenProjection(seen)
      let (keys, values) = (projection.channels(0..<C), projection.channels(C..<2 * C))
      let q = batchNorm(projected(x, "q.0"), "q.1")
      let count = configuration.reductions.count
      let attended = configuration.reductions.enumerated().map { scale, reduction in
        overPositions(
          q.channels(scale * C / count..<(scale + 1) * C / count),
          reduced(keys, "k.\(scale)", by: reduction), reduced(values, "v.\(scale)", by: reduction),
          heads: configuration.heads / count)
      }
      return joinedProjection([x, .joined(attended), values])
    case .spatialCrossAttention(let heads):
      let sources = seen.channels.count / C
      let merged = groupNorm(depthwise(seen, "merge", kernel: 7, stride: 4), "d_norm", groups: sources)
      // All tokens in a row: the layer's own, then those of each map.
      let tokens = (0..<C).map { channel in
        (0..<sources).reduce(x.channels[channel]) { $0 + merged.channels[$1 * C + channel] }
      }
      let keysAndValues = projected(Grid(tokens, 1, tokens[0].count), "kv")
      let attended = overPositions(
        projected(x, "q"), keysAndValues.channels(0..<C), keysAndValues.channels(C..<2 * C), heads: heads)
      return projected(x + projected(attended, "proj"), "in_proj")
    }
  }
}

/// An aggregator and how many channels come out.
private struct Sample: Sendable, CustomTestStringConvertible {
  let aggregator: Aggregator
  var outputs = 16

  var testDescription: String { "\(aggregator), \(outputs) outputs" }

  static let all: [Sample] = {
    var channelsAlone = DynamicChannelAggregator.Configuration(reduction: 2)
    channelsAlone.shortcut = .none
    return [
      Sample(aggregator: .concatenation), Sample(aggregator: .queryAndValue),
      Sample(aggregator: .dynamicChannels(.init(reduction: 4))),
      Sample(aggregator: .dynamicChannels(.init(reduction: 1)), outputs: 17),
      Sample(aggregator: .dynamicChannels(channelsAlone)),
      Sample(aggregator: .spatialAttention(.init(reductions: [4]))),
      Sample(aggregator: .spatialAttention(.init(reductions: [1])), outputs: 18),
      Sample(aggregator: .spatialAttention(.init(reductions: [2, 4]))),
      Sample(aggregator: .spatialAttention(.init(reductions: [1, 2])), outputs: 17),
      Sample(aggregator: .spatialCrossAttention()), Sample(aggregator: .spatialCrossAttention(heads: 2)),
    ]
  }()
}

/// Every aggregator against its definition in plain arithmetic.
@Suite struct AggregatorTests {
  private let batch = 2
  private let width = 8
  private let sources = 3

  private func layer(_ sample: Sample) -> (store: ParameterStore, aggregate: any CrossLayerAggregator) {
    let store = ParameterStore(dtype: .float64)
    let layer = make(sample, store.root)
    withoutGradients {
      for entry in store.entries where entry.tensor.dtype == .float64 {
        let isPositive = entry.key.hasSuffix("running_var") || entry.key.contains("norm.weight")
        entry.tensor.copy(
          from: .filled(
            entry.tensor.shape, key: entry.key, low: isPositive ? 0.5 : -0.6, high: isPositive ? 1.5 : 0.7,
            dtype: .float64))
      }
    }
    return (store, layer)
  }

  private func make(_ sample: Sample, _ scope: Scope) -> any CrossLayerAggregator {
    sample.aggregator.make(scope, width: width, sources: sources, outputs: sample.outputs)
  }

  private func inputs(_ height: Int, _ width: Int) -> (x: Tensor, seen: Tensor) {
    (
      .filled([batch, self.width, height, width], key: "x", dtype: .float64),
      .filled([batch, sources * self.width, height, width], key: "seen", low: -1, high: 2, dtype: .float64)
    )
  }

  private func defined(_ sample: Sample, _ definition: Definition, _ x: Tensor, _ seen: Tensor) -> [Double] {
    (0..<batch).flatMap {
      definition(sample.aggregator, Grid(x, image: $0), Grid(seen, image: $0)).channels.flatMap { $0 }
    }
  }

  @Test(arguments: Sample.all, [[1, 1], [7, 5], [14, 14]])
  fileprivate func isWhatItsDefinitionSays(_ sample: Sample, _ size: [Int]) {
    let (store, aggregate) = layer(sample)
    let (x, seen) = inputs(size[0], size[1])
    let expected = defined(
      sample, Definition(store, width: width, outputs: sample.outputs), x, seen)
    withoutGradients {
      let y = aggregate(x, attending: seen)
      #expect(y.shape == [batch, sample.outputs] + size)
      expectClose(y, expected, 1e-12, "plain")
      let prepared = make(sample, ParameterStore(preparing: store).root)
      expectClose(
        withPoisonedAllocations { prepared(x, attending: seen) }, expected, 1e-12, "prepared")
    }
  }

  @Test(arguments: Sample.all) fileprivate func singlePrecisionIsClose(_ sample: Sample) {
    let (store, _) = layer(sample)
    let (x, seen) = inputs(7, 5)
    let expected = defined(
      sample, Definition(store, width: width, outputs: sample.outputs), x, seen)
    let single = ParameterStore(dtype: .float32)
    let aggregate = make(sample, single.root)
    withoutGradients {
      for (own, other) in zip(single.entries, store.entries) where other.tensor.dtype == .float64 {
        own.tensor.copy(from: other.tensor.to(.float32))
      }
      let prepared = make(sample, ParameterStore(preparing: single).root)
      for layer in [aggregate, prepared] {
        expectClose(layer(x.to(.float32), attending: seen.to(.float32)), expected, 2e-5)
      }
    }
  }

  /// Derivatives by one element of every parameter and input, by central differences of the definition.
  @Test(arguments: Sample.all) fileprivate func gradientsReachEveryParameter(_ sample: Sample) throws {
    let (store, aggregate) = layer(sample)
    let (x, seen) = inputs(7, 5)
    let probe = Tensor.filled([batch, sample.outputs, 7, 5], key: "probe", dtype: .float64)
    let weights = probe.array(Double.self)
    let (own, others) = (x.requiringGradient(), seen.requiringGradient())
    (aggregate(own, attending: others) * probe).sum().backward()
    func loss(_ definition: Definition, _ x: Tensor, _ seen: Tensor) -> Double {
      zip(defined(sample, definition, x, seen), weights).reduce(0) { $0 + $1.0 * $1.1 }
    }
    func difference(_ loss: (Double) -> Double) -> Double { (loss(1e-5) - loss(-1e-5)) / 2e-5 }
    func expectDerivative(_ tensor: Tensor, _ element: Int, _ numeric: Double, _ label: String) throws {
      let analytic = try #require(tensor.gradient, "\(label)").array(Double.self)[element]
      #expect(abs(analytic - numeric) <= 1e-6 * max(1, abs(numeric)), "\(label): \(analytic), \(numeric)")
    }
    let definition = Definition(store, width: width, outputs: sample.outputs)
    for entry in store.entries where entry.kind == .parameter {
      let element = entry.tensor.count / 2
      let numeric = difference { offset in
        var moved = definition
        moved.values[entry.key]?[element] += offset
        return loss(moved, x, seen)
      }
      try expectDerivative(entry.tensor, element, numeric, entry.key)
      // The same number added to all keys leaves a softmax over positions as it is.
      let isIdle = entry.key.hasPrefix("k.") && entry.key.hasSuffix(".2.bias")
      if isIdle, case .spatialAttention = sample.aggregator { continue }
      #expect(try #require(entry.tensor.gradient).abs().max().item() > 1e-8, "\(entry.key)")
    }
    for (tensor, label) in [(own, "x"), (others, "seen")] {
      let element = tensor.count / 2
      let numeric = difference { offset in
        var values = tensor.detached().array(Double.self)
        values[element] += offset
        let moved = Tensor(values, tensor.shape)
        return label == "x" ? loss(definition, moved, seen) : loss(definition, x, moved)
      }
      try expectDerivative(tensor, element, numeric, label)
    }
  }
}
