#pragma once

// The one-dimensional scan: one path, steps given instead of expanded. Blocks do not straddle the groups of B
// and C.

namespace CSCAN_VARIANT {

// Sizes and packed inputs that all tasks share.
template <class T>
struct SelectiveScanShared {
  static constexpr int W = lanes<T>;
  using V = Vector<T>;

  const cscan_selective_scan &scan;
  int64_t tiles, rows;  // rows: of one tile
  int64_t group_channels, group_blocks, blocks, block_parameters;
  Scratch<int32_t> order;  // [tiles][W]
  Scratch<T> packed;       // [B][G][tiles][2 N][W]
  Scratch<V> parameters;   // [blocks][N + 2]: A, the bias of delta in the step's unit, D

  explicit SelectiveScanShared(const cscan_selective_scan &scan)
      : scan(scan),
        tiles((scan.length + W - 1) / W),
        rows(2 * scan.state),
        group_channels(scan.channels / scan.groups),
        group_blocks((group_channels + W - 1) / W),
        blocks(scan.groups * group_blocks),
        block_parameters(scan.state + 2),
        order(tiles * W),
        packed(scan.batch * scan.groups * tiles * rows * W),
        parameters(blocks * block_parameters) {}

  explicit operator bool() const { return order && packed && parameters; }

  void prepare(cscan_parallel_fn parallel) {
    for (int64_t i = 0; i < tiles * W; ++i) order[i] = int32_t(i < scan.length ? i : scan.length);
    for (int64_t block = 0; block < blocks; ++block) pack_parameters(block);
    const int64_t row_count = scan.batch * scan.groups * rows;
    for_ranges(parallel, row_count, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t image = i / (scan.groups * rows), group = i / rows % scan.groups, r = i % rows;
        T *target = packed.get() + (i / rows * tiles * rows + r) * W;
        const bool is_b = r < scan.state;
        const cscan_tensor &tensor = is_b ? scan.b : scan.c;
        pack_row<T>(
            target, tensor, row(tensor, image, group, r % scan.state), is_b ? T(Math<T>::unit) : T(1));
      }
    });
  }

  Row row(const cscan_tensor &tensor, int64_t image, int64_t group, int64_t n) const {
    const int64_t *s = tensor.strides;
    return {image * s[0] + group * s[1] + n * s[2], s[3], order.get(), scan.length, tiles, rows * W};
  }

  int64_t first_channel(int64_t block) const {
    return block / group_blocks * group_channels + block % group_blocks * W;
  }

  int channels_in(int64_t block) const {
    const int64_t left = group_channels - block % group_blocks * W;
    return left < W ? int(left) : W;
  }

  void pack_parameters(int64_t block) {
    const auto *a = static_cast<const T *>(scan.a);
    const auto *bias = static_cast<const T *>(scan.delta_bias);
    const auto *d = static_cast<const T *>(scan.d);
    const int64_t first = first_channel(block);
    const int present = channels_in(block);
    V *target = parameters.get() + block * block_parameters;
    for (int64_t n = 0; n < scan.state; ++n)
      target[n] = gather<T>(a + first * scan.state + n, scan.state, present);
    target[scan.state] = bias ? gather<T>(bias + first, 1, present, T(1 / Math<T>::unit)) : V{};
    target[scan.state + 1] = d ? gather<T>(d + first, 1, present) : V{};
  }

  Path<T> path(int64_t image, int64_t block) const {
    const V *own = parameters.get() + block * block_parameters;
    return {tiles, 0, scan.state,
        packed.get() + (image * scan.groups + block / group_blocks) * tiles * rows * W, order.get(), nullptr,
        own + scan.state, own};
  }

  V skip(int64_t block) const { return parameters[(block + 1) * block_parameters - 1]; }

  Place place(const cscan_tensor &tensor, int64_t image, int64_t block) const {
    const int64_t *s = tensor.strides;
    return Place::of(
        image * s[0] + first_channel(block) * s[1], channels_in(block), s[1], 1, 0, scan.length, s[2]);
  }

  // Fills [tiles][W] with the steps of a block. Those beyond the end are zero, which leaves the state as it
  // is.
  void pack_steps(V *steps, int64_t image, int64_t block) const {
    pack<T>(steps, scan.delta, place(scan.delta, image, block));
    const V bias = parameters[block * block_parameters + scan.state];
    const T per_unit = T(1 / Math<T>::unit);
    for (int64_t p = 0; p < scan.length; ++p) {
      const V raw = steps[p] * per_unit + bias;
      steps[p] = scan.softplus ? Math<T>::softplus(raw) : raw;
    }
    for (int64_t p = scan.length; p < tiles * W; ++p) steps[p] = V{};
  }
};

template <class T>
int32_t run_selective_scan_forward(
    const cscan_selective_scan &scan, cscan_tensor y, void *last_state, cscan_parallel_fn parallel) {
  using V = Vector<T>;
  constexpr int W = lanes<T>;
  SelectiveScanShared<T> shared(scan);
  if (!shared) return CSCAN_OUT_OF_MEMORY;
  shared.prepare(parallel);
  const int64_t length = scan.length, N = scan.state;
  Status status;
  for_ranges(parallel, scan.batch * shared.blocks, [&](int64_t begin, int64_t end) {
    Scratch<V> inputs(length + 1), outputs(length + 1), steps(shared.tiles * W), states(N);
    if (!inputs || !outputs || !steps || !states) return status.out_of_memory();
    for (int64_t task = begin; task < end; ++task) {
      const int64_t image = task / shared.blocks, block = task % shared.blocks;
      pack<T>(inputs.get(), scan.u, shared.place(scan.u, image, block));
      inputs[length] = V{};
      shared.pack_steps(steps.get(), image, block);
      const V skip = shared.skip(block);
      for (int64_t p = 0; p <= length; ++p) outputs[p] = skip * inputs[p];
      const Path<T> path = shared.path(image, block);
      for (int64_t n = 0; n < N; ++n) states[n] = V{};
      for (int64_t tile = 0; tile < path.tiles; ++tile) {
        scan_tile<T, 0>(path, tile, steps.get() + tile * W, inputs.get(), states.get(), outputs.get());
      }
      if (scan.z.data) {
        V *z = steps.get();
        pack<T>(z, scan.z, shared.place(scan.z, image, block));
        for (int64_t p = 0; p < length; ++p) outputs[p] *= z[p] * Math<T>::sigmoid(z[p]);
      }
      unpack<T>(outputs.get(), y, shared.place(y, image, block));
      if (last_state) {
        T *target = static_cast<T *>(last_state) + (image * scan.channels + shared.first_channel(block)) * N;
        for (int j = 0; j < shared.channels_in(block); ++j) {
          for (int64_t n = 0; n < N; ++n) target[j * N + n] = states[n][j];
        }
      }
    }
  });
  return status.get();
}

template <class T>
int32_t run_selective_scan_backward(const cscan_selective_scan &scan,
    const cscan_selective_scan_gradient &gradient, cscan_parallel_fn parallel) {
  using V = Vector<T>;
  constexpr int W = lanes<T>;
  SelectiveScanShared<T> shared(scan);
  const int64_t length = scan.length, N = scan.state, tiles = shared.tiles, blocks = shared.blocks;
  const int64_t group_blocks = shared.group_blocks, sums_size = shared.block_parameters;
  const int64_t parts = parts_of(group_blocks, scan.batch * scan.groups);
  // Sums of each part over its channels, and of each block over its positions.
  const int64_t row_sums_size = tiles * shared.rows * W;
  Scratch<T> row_sums(scan.batch * scan.groups * parts * row_sums_size);
  Scratch<V> parameter_sums(scan.batch * blocks * sums_size);
  if (!shared || !row_sums || !parameter_sums) return CSCAN_OUT_OF_MEMORY;
  shared.prepare(parallel);
  Status status;
  for_ranges(parallel, scan.batch * scan.groups * parts, [&](int64_t begin, int64_t end) {
    Scratch<V> inputs(length + 1), upstream(length + 1), downstream(length + 1), steps(tiles * W);
    Scratch<V> entries(tiles * N), carry(N);
    Scratch<V> gates(scan.z.data ? length : 0), outputs(scan.z.data ? length + 1 : 0);
    if (!inputs || !upstream || !downstream || !steps || !entries || !carry || !gates || !outputs) {
      return status.out_of_memory();
    }
    for (int64_t task = begin; task < end; ++task) {
      const int64_t image = task / (scan.groups * parts), group = task / parts % scan.groups,
                    part = task % parts;
      T *part_rows = row_sums.get() + task * row_sums_size;
      std::memset(part_rows, 0, std::size_t(row_sums_size) * sizeof(T));
      const int64_t first = group * group_blocks;
      for (int64_t block = first + part * group_blocks / parts;
          block < first + (part + 1) * group_blocks / parts; ++block) {
        pack<T>(inputs.get(), scan.u, shared.place(scan.u, image, block));
        pack<T>(upstream.get(), gradient.y, shared.place(gradient.y, image, block));
        inputs[length] = upstream[length] = downstream[length] = V{};
        shared.pack_steps(steps.get(), image, block);
        V *sums = parameter_sums.get() + (image * blocks + block) * sums_size;
        for (int64_t i = 0; i < sums_size; ++i) sums[i] = V{};
        const V skip = shared.skip(block);
        const Path<T> path = shared.path(image, block);
        V *y = scan.z.data ? outputs.get() : nullptr;
        for (int64_t p = 0; y && p <= length; ++p) y[p] = skip * inputs[p];
        for (int64_t n = 0; n < N; ++n) carry[n] = V{};
        for (int64_t tile = 0; tile < tiles; ++tile) {
          for (int64_t n = 0; n < N; ++n) entries[tile * N + n] = carry[n];
          scan_tile<T, 0>(path, tile, steps.get() + tile * W, inputs.get(), carry.get(), y);
        }
        if (scan.z.data) {
          pack<T>(gates.get(), scan.z, shared.place(scan.z, image, block));
          for (int64_t p = 0; p < length; ++p) {
            const V z = gates[p], sigmoid = Math<T>::sigmoid(z);
            gates[p] = upstream[p] * y[p] * sigmoid * (T(1) + z * (T(1) - sigmoid));
            upstream[p] *= z * sigmoid;
          }
          if (gradient.z.data) unpack<T>(gates.get(), gradient.z, shared.place(gradient.z, image, block));
        }
        for (int64_t p = 0; p < length; ++p) downstream[p] = skip * upstream[p];
        sums[N + 1] = dot<T>(upstream.get(), inputs.get(), length);
        for (int64_t n = 0; n < N; ++n) carry[n] = V{};
        const PathGradient<T> own{part_rows, sums, nullptr, nullptr};
        for (int64_t tile = tiles - 1; tile >= 0; --tile) {
          V *step = steps.get() + tile * W;
          V dstep[W];
          scan_tile_backward<T, 0>(path, tile, step, inputs.get(), upstream.get(), entries.get() + tile * N,
              carry.get(), own, downstream.get(), dstep);
          for (int t = 0; t < W; ++t) {
            step[t] = scan.softplus ? dstep[t] * Math<T>::softplus_slope(step[t]) : dstep[t];
          }
        }
        V dbias{};
        for (int64_t p = 0; p < length; ++p) {
          steps[p] *= T(1 / Math<T>::unit);
          dbias += steps[p];
        }
        sums[N] = dbias;
        if (gradient.u.data) unpack<T>(downstream.get(), gradient.u, shared.place(gradient.u, image, block));
        if (gradient.delta.data)
          unpack<T>(steps.get(), gradient.delta, shared.place(gradient.delta, image, block));
      }
    }
  });
  if (status.get() != CSCAN_OK) return status.get();

  const int64_t rows = shared.rows;
  for_ranges(parallel, scan.batch * scan.groups * rows, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t image = i / (scan.groups * rows), group = i / rows % scan.groups, r = i % rows;
      const bool is_b = r < N;
      const cscan_tensor &tensor = is_b ? gradient.b : gradient.c;
      if (!tensor.data) continue;
      unpack_row<T>(row_sums.get() + i / rows * parts * row_sums_size + r * W, parts, row_sums_size, tensor,
          shared.row(tensor, image, group, r % N), is_b ? T(Math<T>::unit) : T(1));
    }
  });
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t first = shared.first_channel(block);
    const int present = shared.channels_in(block);
    for (int64_t i = 0; i < sums_size; ++i) {
      double sum[W] = {};
      for (int64_t image = 0; image < scan.batch; ++image) {
        const V part = parameter_sums[(image * blocks + block) * sums_size + i];
        for (int j = 0; j < W; ++j) sum[j] += part[j];
      }
      if (i < N) {
        scatter<T>(gradient.a, first * N + i, N, sum, present, Math<T>::unit);
      } else {
        scatter<T>(i == N ? gradient.delta_bias : gradient.d, first, 1, sum, present, 1);
      }
    }
  }
  return CSCAN_OK;
}

int32_t selective_scan_forward(
    const cscan_selective_scan &scan, cscan_tensor y, void *last_state, cscan_parallel_fn parallel) {
  return scan.u.type == CSCAN_FLOAT64 ? run_selective_scan_forward<double>(scan, y, last_state, parallel)
                                      : run_selective_scan_forward<float>(scan, y, last_state, parallel);
}

int32_t selective_scan_backward(const cscan_selective_scan &scan,
    const cscan_selective_scan_gradient &gradient, cscan_parallel_fn parallel) {
  return scan.u.type == CSCAN_FLOAT64 ? run_selective_scan_backward<double>(scan, gradient, parallel)
                                      : run_selective_scan_backward<float>(scan, gradient, parallel);
}

}  // namespace CSCAN_VARIANT
