import Layers
import Torch

/// The learned biases of queries by keys that a stage's layers share.
///
/// Lou et al. (2310.19380), section 3.2, "OSRA". For maps of other sizes the table is resized by a bicubic filter
/// without antialiasing, as a picture of queries by keys, as the authors do at run time.
struct PositionBias {
  let table: Tensor
  let reduction: Int

  /// Declares the table `[1, h, L, M]` of a map of `height` by `width`.
  init(_ scope: Scope, _ name: String, heads: Int, reduction: Int, height: Int, width: Int) {
    self.reduction = reduction
    let keys = height.dividedUp(by: reduction) * width.dividedUp(by: reduction)
    table = scope.parameter(name, [1, heads, height * width, keys], .zeros)
    scope.adapts(name, as: .map)
  }

  /// The biases `[1, h, L, M]` of a map of that size.
  func callAsFunction(height: Int, width: Int) -> Tensor {
    let (L, M) = (height * width, height.dividedUp(by: reduction) * width.dividedUp(by: reduction))
    return (table.size(2), table.size(3)) == (L, M) ? table : table.resized(L, M, .bicubic())
  }
}

/// The dual dynamic token mixer (D-Mixer): a dynamic convolution of one half of the channels, attention of the other,
/// and a token enhancer over both.
///
/// Lou et al. (2310.19380), section 3.2.
struct DualTokenMixer {
  let local: DynamicDepthwiseConv
  let global: ReducedAttention
  let join: ChannelJoin
  let enhance: TokenEnhancer

  init(_ scope: Scope, _ stage: TransXNet.Stage, kernel: Int) {
    if stage.width % (2 * stage.heads) != 0 {
      fatalError(
        "TransXNet `\(scope.key)`: half of \(stage.width) channels do not divide into \(stage.heads) heads")
    }
    let half = stage.width / 2
    local = DynamicDepthwiseConv(scope["local_unit"], half, kernel: kernel, kernels: stage.kernels)
    global = ReducedAttention(
      scope["global_unit"], half, heads: stage.heads, reduction: stage.reduction)
    join = ChannelJoin(scope)
    enhance = TokenEnhancer(scope["proj"], stage.width)
  }

  func callAsFunction(_ x: Tensor, bias: Tensor) -> Tensor {
    let halves = x.chunk(2, along: 1)
    return enhance(join([local(halves[0]), global(halves[1], bias: bias)]))
  }
}

/// The input-dependent depthwise convolution (IDConv): every image mixes its kernels and bias from G learned ones.
///
/// Lou et al. (2310.19380), section 3.2, "IDConv": the softmax over G of a projection of the map averaged to K by K. The
/// bias has the projection of the map's mean; in training the projection's normalisation thus sees two batches a step.
struct DynamicDepthwiseConv: Layer {
  let weight: Tensor
  let bias: Tensor
  let squeeze: ConvNorm
  let expand: Conv2d
  let mode: Mode

  init(_ scope: Scope, _ channels: Int, kernel: Int, kernels: Int) {
    weight = scope.parameter(
      "weight", [kernels, channels, kernel, kernel], .truncatedNormal(deviation: 0.02))
    bias = scope.parameter("bias", [kernels, channels], .truncatedNormal(deviation: 0.02))
    let inner = channels / 4
    squeeze = ConvNorm(
      conv: scope["proj.0.conv"], norm: scope["proj.0.bn"], channels, inner, kernel: 1, activation: .gelu)
    expand = Conv2d(scope["proj.1"], inner, channels * kernels, kernel: 1)
    mode = scope.mode
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    let (B, C, H, W) = x.shape4
    require(
      B != 1 || !mode.isTraining,
      "TransXNet: training needs batches of at least 2 images, whose means are normalised; got 1")
    // There is no convolution of no groups.
    if B == 0 { return x }
    let (G, K) = (weight.size(0), weight.size(2))
    let shares = expand(squeeze(x.adaptiveAveragePool2d(K, K))).reshape(B, G, C, K, K).softmax(1)
    let biasShares = expand(squeeze(x.mean(2, 3, keepDimensions: true))).reshape(B, G, C).softmax(1)
    // All images' kernels in one convolution: each image's channels are groups of their own.
    return x.reshape(1, B * C, H, W).conv2d(
      (shares * weight).sum(1).reshape(B * C, 1, K, K), bias: (biasShares * bias).sum(1).reshape(B * C),
      padding: K / 2, groups: B * C
    ).reshape(B, C, H, W)
  }
}

/// Attention to a map reduced by overlapping windows (OSRA), with a bias for every query and key.
///
/// Lou et al. (2310.19380), section 3.2, "OSRA": windows reach 3 pixels further than their stride.
struct ReducedAttention {
  let reduce: ConvNorm?
  let scale: ConvNorm?
  let refine: ResidualDepthwiseConv
  let query: Conv2d
  let keyAndValue: Conv2d
  let heads: Int

  init(_ scope: Scope, _ width: Int, heads: Int, reduction: Int) {
    self.heads = heads
    query = Conv2d(scope["q"], width, width, kernel: 1)
    keyAndValue = Conv2d(scope["kv"], width, 2 * width, kernel: 1)
    if reduction > 1 {
      let (first, second) = (scope["sr.0"], scope["sr.1"])
      reduce = ConvNorm(
        conv: first["conv"], norm: first["bn"], width, width, kernel: reduction + 3, stride: reduction,
        groups: width, activation: .gelu)
      scale = ConvNorm(
        conv: second["conv"], norm: second["bn"], width, width, kernel: 1, groups: width)
    } else {
      (reduce, scale) = (nil, nil)
    }
    refine = ResidualDepthwiseConv(scope["local_conv"], width, kernel: 3)
  }

  /// From x `[B, C, H, W]` and biases `[1, h, L, M]`, `[B, C, H, W]`.
  func callAsFunction(_ x: Tensor, bias: Tensor) -> Tensor {
    let keysAndValues = keyAndValue(refine(scale(reduce(x)))).chunk(2, along: 1)
    return Tensor.attention(
      query: tokens(query(x)), key: tokens(keysAndValues[0]), value: tokens(keysAndValues[1]), bias: bias
    ).transpose(2, 3).reshape(x.shape)
  }

  /// The positions of a map as tokens of each head, `[B, h, positions, C/h]`.
  private func tokens(_ x: Tensor) -> Tensor {
    let (B, C, H, W) = x.shape4
    return x.reshape(B, heads, C / heads, H * W).transpose(2, 3)
  }
}

/// The squeezed token enhancer (STE): a depthwise convolution and a narrow pair of projections beside a shortcut.
///
/// Lou et al. (2310.19380), section 3.2, "STE": an eighth of the channels, at least 16.
struct TokenEnhancer: Layer {
  let depthwise: Conv2d
  let norm1: BatchNorm2d
  let squeeze: Conv2d
  let norm2: BatchNorm2d
  let expand: Conv2d
  let norm3: BatchNorm2d

  init(_ scope: Scope, _ width: Int) {
    let inner = max(16, width / 8)
    depthwise = Conv2d(scope[0], width, width, kernel: 3, groups: width, activation: .gelu)
    norm1 = BatchNorm2d(scope[2], width)
    squeeze = Conv2d(scope[3], width, inner, kernel: 1, activation: .gelu)
    norm2 = BatchNorm2d(scope[5], inner)
    expand = Conv2d(scope[6], inner, width, kernel: 1)
    norm3 = BatchNorm2d(scope[7], width)
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    norm3(expand(norm2(squeeze(norm1(depthwise(x)))))) + x
  }
}

/// The multi-scale feed-forward layer (MS-FFN): a depthwise convolution of another size for each quarter of the hidden
/// channels.
///
/// Lou et al. (2310.19380), section 3.3: sides 1, 3, 5, 7; the first takes the channels that four do not divide.
struct MultiScaleFeedForward: Layer {
  let expand: Conv2d
  let norm1: BatchNorm2d
  let scales: [ResidualDepthwiseConv]
  let sizes: [Int]
  let join: ChannelJoin
  let norm2: BatchNorm2d
  let project: ConvNorm

  init(_ scope: Scope, _ width: Int, hidden: Int) {
    expand = Conv2d(scope["fc1.0"], width, hidden, kernel: 1, bias: false, activation: .gelu)
    norm1 = BatchNorm2d(scope["fc1.2"], hidden)
    let sizes = (0..<4).map { $0 == 0 ? hidden - hidden / 4 * 3 : hidden / 4 }
    scales = sizes.enumerated().map {
      ResidualDepthwiseConv(
        scope["dwconv.proj"][$0.offset], $0.element, kernel: 2 * $0.offset + 1, activation: .gelu)
    }
    self.sizes = sizes
    join = ChannelJoin(scope)
    norm2 = BatchNorm2d(scope["norm"], hidden)
    project = ConvNorm(conv: scope["fc2.0"], norm: scope["fc2.1"], hidden, width, kernel: 1)
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    let parts = norm1(expand(x)).split(sizes, along: 1)
    return project(norm2(join(zip(scales, parts).map { $0($1) })))
  }
}

extension Int {
  /// The quotient, rounded up.
  func dividedUp(by divisor: Int) -> Int { (self + divisor - 1) / divisor }
}
