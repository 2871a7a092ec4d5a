/// One group of parameters that an optimizer steps alike.
public struct ParameterGroup {
  /// The leaves to step.
  public var parameters: [Tensor]
  /// The decoupled weight decay (AdamW) or L2 term (SGD).
  public var weightDecay: Double
  /// What multiplies the learning rate of each step.
  public var learningRateScale: Double

  /// A group of leaves with one weight decay and one learning rate.
  public init(_ parameters: [Tensor], weightDecay: Double, learningRateScale: Double = 1) {
    self.parameters = parameters
    self.weightDecay = weightDecay
    self.learningRateScale = learningRateScale
  }
}

extension [ParameterGroup] {
  /// The groups with those of their parameters that have a gradient, each with it and its entry of `state`, which
  /// has one for each parameter in the order of the groups.
  fileprivate func withGradients<State>(_ state: [State]) -> [(ParameterGroup, [(Tensor, Tensor, State)])] {
    var remembered = state[...]
    return compactMap { group in
      let rows = group.parameters.compactMap { parameter in
        remembered.popFirst().flatMap { state in parameter.gradient.map { (parameter, $0, state) } }
      }
      return rows.isEmpty ? nil : (group, rows)
    }
  }
}

/// AdamW: Adam with decoupled weight decay and bias correction, one fused pass over all parameters of a group.
///
/// Loshchilov & Hutter, "Decoupled Weight Decay Regularization" (1711.05101). Parameters without a gradient are
/// skipped. State lives in ``state``, in the order of the groups' parameters, so that a run can be resumed.
public final class AdamW {
  /// What the optimizer remembers of one parameter.
  public struct Moments {
    /// The running mean of gradients.
    public let first: Tensor
    /// The running mean of squared gradients.
    public let second: Tensor
    /// The number of steps taken, a single float32.
    public let step: Tensor
  }

  /// The parameters, by what they are stepped with.
  public let groups: [ParameterGroup]
  /// What is remembered of each parameter, in the order of the groups.
  public let state: [Moments]
  private let betas: (Double, Double)
  private let epsilon: Double

  /// An optimizer at step 0.
  public init(_ groups: [ParameterGroup], betas: (Double, Double) = (0.9, 0.999), epsilon: Double = 1e-8) {
    self.groups = groups
    self.betas = betas
    self.epsilon = epsilon
    state = groups.flatMap(\.parameters).map {
      Moments(first: $0.zerosLike(), second: $0.zerosLike(), step: .zeros([], device: $0.device))
    }
  }

  /// Steps every parameter along its gradient with this learning rate, times its group's factor.
  ///
  /// - Parameters:
  ///   - learningRate: the learning rate.
  ///   - skip: a single float32 beside the parameters: 1 leaves everything as it is, 0 does not. The device decides, so
  ///     that nobody has to wait for it.
  public func step(learningRate: Double, unless skip: Tensor? = nil) {
    withoutGradients {
      for (group, rows) in groups.withGradients(state) {
        let steps = rows.map(\.2.step)
        // The fused kernel reads the step counters but does not advance them.
        if let skip {
          Aten.foreachAdd.perform(.tensors(steps), .tensor(1 - skip))
        } else {
          Aten.foreachAddScalar.perform(.tensors(steps), .double(1))
        }
        Aten.fusedAdamW.perform(
          .tensors(rows.map(\.0)), .tensors(rows.map(\.1)), .tensors(rows.map(\.2.first)),
          .tensors(rows.map(\.2.second)), .tensors([]), .tensors(steps),
          .double(learningRate * group.learningRateScale), .double(betas.0), .double(betas.1),
          .double(group.weightDecay), .double(epsilon), .bool(false), .bool(false), .none, .optional(skip))
      }
    }
  }
}

/// Stochastic gradient descent with momentum, one fused pass over all parameters of a group.
public final class SGD {
  /// The parameters, by what they are stepped with.
  public let groups: [ParameterGroup]
  /// The momentum buffers, in the order of the groups.
  public let state: [Tensor]
  private let momentum: Double
  private let nesterov: Bool

  /// An optimizer at step 0.
  public init(_ groups: [ParameterGroup], momentum: Double = 0.9, nesterov: Bool = false) {
    self.groups = groups
    self.momentum = momentum
    self.nesterov = nesterov
    state = groups.flatMap(\.parameters).map { $0.zerosLike() }
  }

  /// Steps every parameter along its gradient with this learning rate, times its group's factor.
  public func step(learningRate: Double) {
    withoutGradients {
      for (group, rows) in groups.withGradients(state) {
        // Never "the first step": a buffer of zeros gives the same, and a resumed one must not be overwritten.
        Aten.fusedSGD.perform(
          .tensors(rows.map(\.0)), .tensors(rows.map(\.1)), .tensors(momentum == 0 ? [] : rows.map(\.2)),
          .double(group.weightDecay), .double(momentum), .double(learningRate * group.learningRateScale),
          .double(0), .bool(nesterov), .bool(false), .bool(false))
      }
    }
  }
}

/// Multiplies all gradients by a number.
public func scaleGradients(of parameters: [Tensor], by factor: Double) {
  withoutGradients {
    let gradients = parameters.compactMap(\.gradient)
    if !gradients.isEmpty { Aten.foreachMulScalar.perform(.tensors(gradients), .double(factor)) }
  }
}

/// Scales all gradients so that their joint norm is at most `limit`.
///
/// - Returns: the norm before scaling, a single element.
@discardableResult
public func clipGradients(of parameters: [Tensor], toNorm limit: Double) -> Tensor {
  withoutGradients {
    let gradients = parameters.compactMap(\.gradient)
    guard !gradients.isEmpty else { return Tensor(Float(0)) }
    let norm = stack(Aten.foreachNorm.all(.tensors(gradients))).norm()
    let factor = (limit / (norm + 1e-6)).clamped(nil, 1)
    Aten.foreachMul.perform(.tensors(gradients), .tensor(factor))
    return norm
  }
}

/// Moves each of `averages` towards its counterpart in `values` by `weight`: `a + weight (v - a)`.
public func interpolate(_ averages: [Tensor], towards values: [Tensor], weight: Double) {
  withoutGradients { Aten.foreachLerp.perform(.tensors(averages), .tensors(values), .double(weight)) }
}
