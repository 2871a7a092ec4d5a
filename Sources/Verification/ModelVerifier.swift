public import Backbones
import Foundation
public import Layers
public import Torch

/// Rebuilds the model of a reference and compares every number with it.
public struct ModelVerifier {
  /// What is compared with.
  public let reference: Reference
  /// The model's architecture.
  public let architecture: Architecture
  /// The element type of the run.
  public let dtype: DType
  /// The device of the run.
  public let device: Device
  let tolerances: Tolerances
  /// Whether outputs and features are those of the model folded and packed for inference.
  let isPrepared: Bool
  /// Values that take the place of filled ones, by key.
  var weights: [String: Tensor] = [:]
  /// What of those came under older names or in older shapes.
  public internal(set) var translation = Translation.none

  /// A verifier of the model that `reference` names.
  ///
  /// - Parameters:
  ///   - reference: what is compared with.
  ///   - path: names the reference in errors.
  ///   - dtype: `.float32` or `.float64`.
  ///   - device: where the model runs.
  ///   - isPrepared: whether outputs and features are those of the model folded and packed for inference; gradients
  ///     and training are the plain model's.
  /// - Throws: ``ReferenceError`` if no known architecture has that name.
  public init(
    _ reference: Reference, path: String, dtype: DType = .float32, device: Device = .cpu,
    isPrepared: Bool = false
  ) throws(ReferenceError) {
    guard let architecture = Architecture(rawValue: reference.name) else {
      let known = Architecture.allCases.map(\.rawValue).joined(separator: ", ")
      throw ReferenceError(
        path: path, key: "name", problem: "expected a known model, got `\(reference.name.prefix(100))`",
        remedy: "known are \(known)")
    }
    self.reference = reference
    self.architecture = architecture
    self.dtype = dtype
    self.device = device
    self.isPrepared = isPrepared
    tolerances = Tolerances(dtype)
  }

  /// Compares the keys, shapes and kinds of all tensors, and the counts of parameters and multiply-adds.
  public func checkContract() -> CaseResult {
    measure(id: "contract", kind: "contract") { tally in
      // Shapes and counts need no elements.
      let model = architecture.makeModel(
        head: .classifier(classes: Self.classes), dropPath: 0, dtype: dtype, device: .meta)
      tally.problems = differences(model.store, reference.state)
      tally.compare(
        "parameters", Double(model.store.parameterCount), Double(reference.parameters), tolerance: 0)
      guard tally.problems.isEmpty, let flops = reference.flops else { return }
      let counts = model.multiplyAdds(height: flops.input[2], width: flops.input[3])
      let total = counts.values.reduce(0, +)
      tally.compare("multiply-adds", Double(total), Double(flops.total), tolerance: 0)
    }
  }

  /// Runs one case.
  public func run(_ item: Reference.Case) -> CaseResult {
    measure(id: item.id, kind: item.content.kind) { tally in
      switch item.content {
      case .forward(let forward): runForward(forward, item, &tally)
      case .gradient(let gradient): runGradient(gradient, item, &tally)
      case .train(let train): runTraining(train, item, &tally)
      case .features(let features): runFeatures(features, item, &tally)
      }
    }
  }

  /// The result for a case that cannot run because the keys do not fit.
  public func skip(_ item: Reference.Case) -> CaseResult {
    CaseResult(
      model: reference.name, id: item.id, kind: item.content.kind, passed: false, checks: 0, worst: nil,
      failures: [], problems: ["not run, since the model's tensors are not the reference's"], seconds: 0)
  }

  /// Published models have the classes of ImageNet-1K.
  static let classes = 1000

  private func measure(id: String, kind: String, _ body: (inout Tally) -> Void) -> CaseResult {
    CaseResult.measured(reference.name, id: id, kind: kind, body)
  }
}

extension ModelVerifier {
  func makeModel(_ head: Head, imageSize: (height: Int, width: Int)? = nil) -> Model {
    architecture.makeModel(imageSize: imageSize, head: head, dropPath: 0, dtype: dtype, device: device)
  }

  /// The published classifier with the values that a case is run with.
  func filledModel(for item: Reference.Case) -> Model {
    makeModel(.classifier(classes: Self.classes), filledFor: item, reference.state)
  }

  private func makeModel(_ head: Head, filledFor item: Reference.Case, _ entries: [Reference.Entry]) -> Model
  {
    let model = makeModel(head)
    fill(model.store, item, entries)
    return model
  }

  private func fill(_ store: ParameterStore, _ item: Reference.Case, _ entries: [Reference.Entry]) {
    withoutGradients {
      for entry in entries {
        guard let lo = entry.lo, let hi = entry.hi, let target = store[entry.key]?.tensor else { continue }
        let value =
          weights[entry.key]
          ?? .filled(entry.shape, key: item.fillPrefix + entry.key, low: lo, high: hi, dtype: dtype)
        target.copy(from: value)
      }
    }
  }

  private func images(_ item: Reference.Case) -> Tensor {
    Tensor.filled(
      item.input.shape, key: item.input.key, low: item.input.lo, high: item.input.hi, dtype: dtype
    )
    .to(device: device)
  }

  /// Every difference between a model's tensors and a list of entries, one sentence each.
  private func differences(_ store: ParameterStore, _ entries: [Reference.Entry]) -> [String] {
    var problems: [String] = []
    let expected = Set(entries.map(\.key))
    for entry in entries {
      guard let own = store[entry.key] else {
        problems.append("\(entry.key): the model lacks this tensor")
        continue
      }
      if own.tensor.shape != entry.shape {
        problems.append("\(entry.key): expected shape \(entry.shape), got \(own.tensor.shape)")
      }
      if let kind = entry.kind, (kind == .parameter) != (own.kind == .parameter) {
        problems.append("\(entry.key): expected a \(kind.rawValue), got a \(own.kind)")
      }
      // The official checkpoints are float32; a run in another precision changes those tensors only.
      let type = own.tensor.dtype == dtype ? DType.float32 : own.tensor.dtype
      if let name = entry.dtype, name != type.name {
        problems.append("\(entry.key): expected elements of \(name), got \(type.name)")
      }
    }
    for own in store.entries where !expected.contains(own.key) {
      problems.append("\(own.key): the reference lacks this tensor")
    }
    return problems
  }
}

extension ModelVerifier {
  private func runForward(_ forward: Reference.Forward, _ item: Reference.Case, _ tally: inout Tally) {
    withoutGradients {
      let model = makeModel(.classifier(classes: Self.classes), filledFor: item, reference.state)
      let images = images(item)
      let network = network(model)
      compare(network.intermediates(of: images), forward.stages, forward.float32Error.stages, &tally)
      tally.compare(
        "logits", network(images).array(), forward.logits,
        tolerance: tolerances.outputs(float32Error: forward.float32Error.logits))
    }
  }

  private func runFeatures(_ features: Reference.Features, _ item: Reference.Case, _ tally: inout Tally) {
    withoutGradients {
      let model = makeModel(.dense)
      let extra = Set(features.extraState.map(\.key))
      let entries =
        reference.state.filter { model.store[$0.key] != nil && !extra.contains($0.key) } + features.extraState
      // The classifier's own tensors are the only ones that dense prediction may leave out.
      let problems = differences(model.store, entries)
      guard problems.isEmpty else {
        tally.problems = problems
        return
      }
      fill(model.store, item, entries)
      let maps = network(model).features(of: images(item))
      // Some references list the maps before their norms first; those after them are what the model gives.
      let before = features.stages.count == 2 * maps.count ? maps.count : 0
      compare(
        maps, Array(features.stages.dropFirst(before)), Array(features.float32Error.stages.dropFirst(before)),
        &tally)
    }
  }

  private func network(_ model: Model) -> any Backbone {
    isPrepared ? model.prepared().backbone : model.backbone
  }

  private func compare(
    _ maps: [Tensor], _ expected: [Reference.Sampled], _ float32Errors: [Double], _ tally: inout Tally
  ) {
    guard maps.count == expected.count else {
      tally.problems.append("expected \(expected.count) feature maps, got \(maps.count)")
      return
    }
    for ((map, expected), float32Error) in zip(zip(maps, expected), float32Errors) {
      guard map.shape == expected.shape else {
        tally.problems.append("\(expected.name): expected shape \(expected.shape), got \(map.shape)")
        continue
      }
      let tolerance = tolerances.outputs(float32Error: float32Error)
      let wide = map.to(.float64)
      tally.compare(
        "\(expected.name) mean", wide.mean().item(), expected.mean, scale: expected.std, tolerance: tolerance)
      tally.compare("\(expected.name) std", wide.deviation().item(), expected.std, tolerance: tolerance)
      tally.compare("\(expected.name) absmax", wide.abs().max().item(), expected.absmax, tolerance: tolerance)
      let values = wide.array(Double.self)
      tally.compare(
        "\(expected.name) first32", values.first(32), expected.first32, scale: expected.absmax,
        tolerance: tolerance)
      tally.compare(
        "\(expected.name) strided32", values.strided(32), expected.strided32, scale: expected.absmax,
        tolerance: tolerance)
    }
  }

  private func runGradient(_ gradient: Reference.Gradient, _ item: Reference.Case, _ tally: inout Tally) {
    let model = makeModel(.classifier(classes: Self.classes), filledFor: item, reference.state)
    let images = images(item).requiringGradient()
    let logits = model.backbone(images)
    let probe = Tensor.filled(
      [logits.size(-1)], key: gradient.probeKey, low: gradient.probeLo, high: gradient.probeHi, dtype: dtype)
    let terms = logits * probe.to(device: device)
    let loss = terms.sum()
    let tolerance = tolerances.gradients
    tally.compare("loss", loss.item(), gradient.loss, tolerance: tolerance)
    let parameters = model.store.entries.filter { $0.kind == .parameter }
    let found = gradients(of: [loss], withRespectTo: [images] + parameters.map(\.tensor))
    let byKey = Dictionary(uniqueKeysWithValues: zip(parameters.map(\.key), found.dropFirst()))
    let missing = Set(byKey.keys).subtracting(gradient.parameters.map(\.key)).sorted()
    tally.problems += missing.map { "\($0): the reference lists no gradient of this parameter" }
    let largest = gradient.parameters.compactMap(\.norm).max() ?? 1
    for expected in gradient.parameters {
      guard let own = byKey[expected.key] else {
        tally.problems.append("\(expected.key): the model lacks this parameter")
        continue
      }
      compare(own, expected, largest: largest, &tally)
    }
    guard let own = found.first ?? nil else {
      tally.problems.append("the loss does not depend on the images")
      return
    }
    let values = own.array(Double.self)
    let scale = values.map(\.magnitude).max()
    tally.compare("input gradient norm", norm(values), gradient.input.norm, tolerance: tolerance)
    tally.compare(
      "input gradient first32", values.first(32), gradient.input.first32, scale: scale, tolerance: tolerance)
    tally.compare(
      "input gradient strided32", values.strided(32), gradient.input.strided32, scale: scale,
      tolerance: tolerance)
  }

  private func compare(
    _ gradient: Tensor?, _ expected: Reference.Gradient.Parameter, largest: Double, _ tally: inout Tally
  ) {
    let tolerance = tolerances.gradients
    guard let norm = expected.norm, let first8 = expected.first8 else {
      let own = gradient.map { self.norm($0.array()) } ?? 0
      tally.compare("\(expected.key) norm", own, 0, tolerance: 0)
      return
    }
    guard let gradient else {
      tally.problems.append("\(expected.key): expected a gradient of norm \(norm), got none")
      return
    }
    let values = gradient.array(Double.self)
    let isNoise = norm < tolerances.negligible * largest
    tally.compare(
      "\(expected.key) gradient norm", self.norm(values), norm, scale: isNoise ? largest : norm,
      tolerance: tolerance)
    // The file lists the first elements only; the norm, compared above, ties the largest one to the reference.
    let peak = min(values.map(\.magnitude).max() ?? 0, norm)
    tally.compare(
      "\(expected.key) gradient first8", values.first(8), first8, scale: isNoise ? largest : peak,
      tolerance: tolerance)
  }

  private func norm(_ values: [Double]) -> Double { values.reduce(0) { $0 + $1 * $1 }.squareRoot() }

  private func runTraining(_ train: Reference.Train, _ item: Reference.Case, _ tally: inout Tally) {
    let overrides = Dictionary(uniqueKeysWithValues: train.overrides.map { ($0.key, $0) })
    let entries = reference.state.map { overrides[$0.key] ?? $0 }
    let usual = makeModel(.classifier(classes: train.classes))
    // Some references train with tables of positions made for the case's images, others resize the usual ones.
    let model =
      entries.allSatisfy { usual.store[$0.key]?.tensor.shape == $0.shape }
      ? usual
      : makeModel(
        .classifier(classes: train.classes), imageSize: (item.input.shape[2], item.input.shape[3]))
    fill(model.store, item, entries)
    let (images, labels) = (images(item), Tensor(train.labels).to(device: device))
    let parameters = model.store.parameters
    let optimizer = AdamW(
      [
        ParameterGroup(parameters.filter { $0.rank >= 2 }, weightDecay: train.optimizer.matrixDecay),
        ParameterGroup(parameters.filter { $0.rank < 2 }, weightDecay: train.optimizer.otherDecay),
      ], betas: (train.optimizer.betas[0], train.optimizer.betas[1]), epsilon: train.optimizer.epsilon)
    model.store.mode.isTraining = true
    let largest = train.losses.map(\.magnitude).max()
    for step in train.losses.indices {
      model.store.clearGradients()
      let loss = model.backbone(images).crossEntropy(labels)
      tally.compare(
        "loss before step \(step + 1)", loss.item(), train.losses[step], scale: largest,
        tolerance: tolerances.loss(train, step: step))
      loss.backward()
      optimizer.step(learningRate: train.optimizer.learningRate)
    }
    model.store.mode.isTraining = false
    compareTrained(model, train, images, &tally)
  }

  private func compareTrained(
    _ model: Model, _ train: Reference.Train, _ images: Tensor, _ tally: inout Tally
  ) {
    let tolerance = tolerances.trained(train)
    let logits = withoutGradients { model.backbone(images) }
    tally.compare("logits after training", logits.array(), train.logitsAfter, tolerance: tolerance)
    func values(_ key: String) -> [Double] { model.store[key]?.tensor.detached().array() ?? [] }
    if let expected = train.statisticsAfter {
      let key = expected.module
      tally.compare(
        "\(key).running_mean after training", values("\(key).running_mean"), expected.mean,
        tolerance: tolerance)
      tally.compare(
        "\(key).running_var after training", values("\(key).running_var"), expected.variance,
        tolerance: tolerance)
      tally.compare(
        "\(key).num_batches_tracked after training", values("\(key).num_batches_tracked"),
        [Double(expected.batches)],
        tolerance: 0)
    }
    for expected in train.parametersAfter {
      tally.compare(
        "\(expected.key) after training", values(expected.key).first(8), expected.first8, tolerance: tolerance
      )
    }
  }
}

extension [Double] {
  fileprivate func first(_ count: Int) -> [Double] { Array(prefix(count)) }

  /// The elements at `i * self.count / count`.
  fileprivate func strided(_ count: Int) -> [Double] {
    isEmpty ? [] : (0..<count).map { self[$0 * self.count / count] }
  }
}
