import CTorch

// Kernels for inference on maps whose channels lie innermost. Letters: B batch, C channels, H, W positions.
//
// They take maps in any layout and copy those that lie otherwise; results are channels last. Elements are float32 or
// float64, parameters are of the same type. They have no gradient, and asking for one is an error.
extension Tensor {
  /// A depthwise convolution of a map `[B, C, H, W]`, padded with zeros, and the activation after it.
  ///
  /// - Parameters:
  ///   - weight: `[k, k, C]`: the window's rows, columns, and channels.
  ///   - bias: `[C]`.
  ///   - stride: pixels between windows.
  ///   - padding: zeros around the map.
  ///   - activation: what is applied to the sums.
  /// - Returns: the map `[B, C, (H + 2 padding - k) / stride + 1, …]`.
  public func mapDepthwise(
    _ weight: Tensor, bias: Tensor?, stride: Int, padding: Int, activation: FusedActivation = .identity
  ) -> Tensor {
    let result = withExtendedLifetime(bias) {
      Tensor(
        ct_map_depthwise(
          pointer, weight.pointer, bias?.pointer, Int64(stride), Int64(padding), activation.rawValue),
        "mapDepthwise(\(summary), \(weight.summary))")
    }
    OperationCounter.add(result.count * weight.size(0) * weight.size(0))
    return result
  }

  /// Normalisation of a map `[B, C, H, W]` over all channels and positions of a sample, then `weight` and `bias` `[C]`.
  public func mapNorm(weight: Tensor, bias: Tensor, epsilon: Double) -> Tensor {
    Tensor(ct_map_norm(pointer, weight.pointer, bias.pointer, epsilon), "mapNorm(\(summary))")
  }

  /// This map times `scale` `[C]`, plus `offset` `[C]` and a map `branch`.
  public func mapScaled(_ scale: Tensor, _ offset: Tensor, plus branch: Tensor) -> Tensor {
    OperationCounter.add(count)
    return Tensor(
      ct_map_scaled_sum(pointer, scale.pointer, offset.pointer, branch.pointer),
      "mapScaled(\(summary), \(branch.summary))")
  }

  /// Maps of one size joined along channels.
  ///
  /// - Parameters:
  ///   - maps: `[B, C₁, H, W]`, `[B, C₂, H, W]`, …
  ///   - order: int32 `[C₁ + C₂ + …]`: channel j of the result is channel `order[j]` of the joined; as they come if absent.
  /// - Returns: the map `[B, C₁ + C₂ + …, H, W]`.
  public static func mapJoin(_ maps: [Tensor], order: Tensor? = nil) -> Tensor {
    withExtendedLifetime((maps, order)) {
      let pointers = maps.map(\.pointer)
      return Tensor(
        ct_map_join(pointers, Int32(maps.count), order?.pointer),
        "mapJoin(\(maps.map(\.summary).joined(separator: ", ")))")
    }
  }
}

// Kernels for maps on a GPU, whose channels lie innermost: differentiable, in the type of the automatic casts where they
// are on. They take maps in any layout and copy those that lie otherwise; parameters of another type are converted.
extension Tensor {
  /// A depthwise convolution of a map `[B, C, H, W]` on a GPU, padded with zeros, and what follows it in the same pass.
  ///
  /// - Parameters:
  ///   - weight: `[C, 1, k, k]`.
  ///   - bias: `[C]`.
  ///   - stride: pixels between windows.
  ///   - padding: zeros around the map.
  ///   - addsInput: whether the map is added to the sums, which needs a window that keeps its size.
  ///   - activation: what is applied to the sums.
  /// - Returns: the map `[B, C, (H + 2 padding - k) / stride + 1, …]`.
  public func depthwiseConv2d(
    _ weight: Tensor, bias: Tensor?, stride: Int, padding: Int, addsInput: Bool = false,
    activation: FusedActivation = .identity
  ) -> Tensor {
    let result = withExtendedLifetime(bias) {
      Tensor(
        ct_depthwise(
          pointer, weight.pointer, bias?.pointer, Int64(stride), Int64(padding), addsInput,
          activation.rawValue),
        "depthwiseConv2d(\(summary), \(weight.summary))")
    }
    OperationCounter.add(result.count * weight.size(-1) * weight.size(-1))
    return result
  }

  /// Normalisation of a map `[B, C, H, W]` on a GPU over all channels and positions of a sample, then `weight` and `bias`
  /// `[C]`.
  public func oneGroupNorm(weight: Tensor, bias: Tensor, epsilon: Double) -> Tensor {
    Tensor(ct_one_group_norm(pointer, weight.pointer, bias.pointer, epsilon), "oneGroupNorm(\(summary))")
  }

  /// This map on a GPU times `scale` `[C]`, plus `offset` `[C]` and a map `branch`.
  public func scaledSum(_ scale: Tensor, _ offset: Tensor, plus branch: Tensor) -> Tensor {
    OperationCounter.add(count)
    return Tensor(
      ct_scaled_sum(pointer, scale.pointer, offset.pointer, branch.pointer),
      "scaledSum(\(summary), \(branch.summary))")
  }

  /// softmax(scale · x) of products `[B, C, C]` on a GPU over the columns of each row's own group of C / groups channels, and
  /// zeros in the columns of other groups.
  public func groupSoftmax(groups: Int, scale: Double) -> Tensor {
    Tensor(ct_group_softmax(pointer, Int64(groups), scale), "groupSoftmax(\(summary), groups: \(groups))")
  }

  /// activation(x + bias) of a map on a GPU that nothing else needs: it works in place and has no gradient.
  public func addingBias(_ bias: Tensor, _ activation: FusedActivation) -> Tensor {
    Tensor(
      ct_bias_activation(pointer, bias.pointer, activation.rawValue),
      "addingBias(\(summary), \(bias.summary))")
  }

  /// Maps of one size on a GPU joined along channels.
  ///
  /// - Parameters:
  ///   - maps: `[B, C₁, H, W]`, `[B, C₂, H, W]`, …
  ///   - order: int32 `[C₁ + C₂ + …]`: channel j of the result is channel `order[j]` of the joined; as they come if absent.
  /// - Returns: the map `[B, C₁ + C₂ + …, H, W]`.
  public static func join(_ maps: [Tensor], order: Tensor? = nil) -> Tensor {
    withExtendedLifetime((maps, order)) {
      let pointers = maps.map(\.pointer)
      return Tensor(
        ct_join(pointers, Int32(maps.count), order?.pointer),
        "join(\(maps.map(\.summary).joined(separator: ", ")))")
    }
  }
}
