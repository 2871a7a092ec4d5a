#pragma once

// The two-dimensional scan in four directions, one pass over x: a task is one block of channels of one image.
// It holds the block's x and y (backward: x, dy, dx) in scratch, so that each is read and written once, and
// expands dt tile by tile.

namespace CSCAN_VARIANT {

constexpr int directions = 4;

// Sizes and packed inputs that all tasks share.
template <class T>
struct Ss2dShared {
  static constexpr int W = lanes<T>;
  using V = Vector<T>;

  const cscan_ss2d &scan;
  int64_t length, tiles, rows;       // rows: of one tile of one direction
  int64_t blocks, block_parameters;  // block_parameters: vectors per block
  Scratch<int32_t> order;            // [4][tiles][W]
  Scratch<T> packed;                 // [B][4][tiles][rows][W]
  Scratch<V> parameters;             // [blocks][4][R + 1 + N] + 1, the last one the sum of D

  explicit Ss2dShared(const cscan_ss2d &scan)
      : scan(scan),
        length(scan.height * scan.width),
        tiles((length + W - 1) / W),
        rows(scan.rank + 2 * scan.state),
        blocks((scan.channels + W - 1) / W),
        block_parameters(directions * (scan.rank + 1 + scan.state) + 1),
        order(directions * tiles * W),
        packed(scan.batch * directions * tiles * rows * W),
        parameters(blocks * block_parameters) {}

  explicit operator bool() const { return order && packed && parameters; }

  void prepare(cscan_parallel_fn parallel) {
    fill_order();
    const int64_t images = scan.batch * directions;
    for_ranges(parallel, images + blocks, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        if (i < images) {
          pack_rows(i / directions, int(i % directions));
        } else {
          pack_parameters(i - images);
        }
      }
    });
  }

  void fill_order() {
    for (int k = 0; k < directions; ++k) {
      int32_t *path = order.get() + k * tiles * W;
      for (int64_t i = 0; i < tiles * W; ++i) path[i] = int32_t(length);
    }
    int32_t *along_rows = order.get(), *along_columns = along_rows + tiles * W;
    int32_t *back_rows = along_columns + tiles * W, *back_columns = back_rows + tiles * W;
    int64_t i = 0;
    for (int64_t p = 0; p < length; ++p) along_rows[p] = int32_t(p);
    for (int64_t column = 0; column < scan.width; ++column) {
      for (int64_t row = 0; row < scan.height; ++row) along_columns[i++] = int32_t(row * scan.width + column);
    }
    for (i = 0; i < length; ++i) {
      back_rows[i] = along_rows[length - 1 - i];
      back_columns[i] = along_columns[length - 1 - i];
    }
  }

  void pack_rows(int64_t image, int k) {
    T *target = packed.get() + (image * directions + k) * tiles * rows * W;
    for (int64_t r = 0; r < rows; ++r) {
      pack_row<T>(target + r * W, scan.projection, row(scan.projection, image, k, r), row_scale(r));
    }
  }

  Row row(const cscan_tensor &tensor, int64_t image, int64_t k, int64_t r) const {
    const int64_t *s = tensor.strides;
    const int64_t offset = image * s[0] + (k * rows + r) * s[1];
    return {offset, s[2], order.get() + k * tiles * W, length, tiles, rows * W};
  }

  // B is packed in the step's unit.
  T row_scale(int64_t r) const {
    const bool is_b = r >= scan.rank && r < scan.rank + scan.state;
    return is_b ? T(Math<T>::unit) : T(1);
  }

  int channels_in(int64_t block) const {
    const int64_t left = scan.channels - block * W;
    return left < W ? int(left) : W;
  }

  void pack_parameters(int64_t block) {
    const auto *weight = static_cast<const T *>(scan.dt_weight);
    const auto *bias = static_cast<const T *>(scan.dt_bias);
    const auto *a = static_cast<const T *>(scan.a);
    const auto *d = static_cast<const T *>(scan.d);
    const int present = channels_in(block);
    const T per_unit = T(1 / Math<T>::unit);
    V *target = parameters.get() + block * block_parameters;
    V skip{};
    for (int k = 0; k < directions; ++k) {
      const int64_t first = k * scan.channels + block * W;
      for (int64_t r = 0; r < scan.rank; ++r) {
        *target++ = gather<T>(weight + first * scan.rank + r, scan.rank, present, per_unit);
      }
      *target++ = gather<T>(bias + first, 1, present, per_unit);
      for (int64_t n = 0; n < scan.state; ++n) {
        *target++ = gather<T>(a + first * scan.state + n, scan.state, present);
      }
      skip += gather<T>(d + first, 1, present);
    }
    *target = skip;
  }

  // Writes the sums of one of a block's parameters, numbered as pack_parameters puts them.
  void write_parameter_gradient(
      const cscan_ss2d_gradient &gradient, int64_t block, int64_t i, const double *sums) const {
    const int64_t per_direction = scan.rank + 1 + scan.state;
    const int64_t k = i / per_direction, which = i % per_direction, channel = block * W;
    const int present = channels_in(block);
    if (k == directions) {
      // D sees the same product along every direction.
      for (int copy = 0; copy < directions; ++copy) {
        scatter<T>(gradient.d, copy * scan.channels + channel, 1, sums, present, 1);
      }
      return;
    }
    const int64_t first = k * scan.channels + channel;
    if (which < scan.rank) {
      scatter<T>(gradient.dt_weight, first * scan.rank + which, scan.rank, sums, present, 1 / Math<T>::unit);
    } else if (which == scan.rank) {
      scatter<T>(gradient.dt_bias, first, 1, sums, present, 1 / Math<T>::unit);
    } else {
      const int64_t n = which - scan.rank - 1;
      scatter<T>(gradient.a, first * scan.state + n, scan.state, sums, present, Math<T>::unit);
    }
  }

  Path<T> path(int64_t image, int64_t block, int k) const {
    const V *own = parameters.get() + block * block_parameters + k * (scan.rank + 1 + scan.state);
    return {tiles, scan.rank, scan.state, packed.get() + (image * directions + k) * tiles * rows * W,
        order.get() + k * tiles * W, own, own + scan.rank, own + scan.rank + 1};
  }

  V skip(int64_t block) const { return parameters[(block + 1) * block_parameters - 1]; }

  Place place(const cscan_tensor &tensor, int64_t image, int64_t block) const {
    const int64_t *s = tensor.strides;
    return Place::of(
        image * s[0] + block * W * s[1], channels_in(block), s[1], scan.height, s[2], scan.width, s[3]);
  }
};

template <class T, int States>
int32_t run_ss2d_forward(const cscan_ss2d &scan, cscan_tensor y, cscan_parallel_fn parallel) {
  using V = Vector<T>;
  constexpr int W = lanes<T>;
  Ss2dShared<T> shared(scan);
  if (!shared) return CSCAN_OUT_OF_MEMORY;
  shared.prepare(parallel);
  const int64_t length = shared.length;
  Status status;
  for_ranges(parallel, scan.batch * shared.blocks, [&](int64_t begin, int64_t end) {
    Scratch<V> inputs(length + 1), outputs(length + 1), states(scan.state);
    if (!inputs || !outputs || !states) return status.out_of_memory();
    for (int64_t task = begin; task < end; ++task) {
      const int64_t image = task / shared.blocks, block = task % shared.blocks;
      pack<T>(inputs.get(), scan.x, shared.place(scan.x, image, block));
      inputs[length] = V{};
      const V skip = shared.skip(block);
      for (int64_t p = 0; p <= length; ++p) outputs[p] = skip * inputs[p];
      for (int k = 0; k < directions; ++k) {
        const Path<T> path = shared.path(image, block, k);
        for (int64_t n = 0; n < scan.state; ++n) states[n] = V{};
        for (int64_t tile = 0; tile < path.tiles; ++tile) {
          V step[W];
          expand_tile(path, tile, step);
          scan_tile<T, States>(path, tile, step, inputs.get(), states.get(), outputs.get());
        }
      }
      unpack<T>(outputs.get(), y, shared.place(y, image, block));
    }
  });
  return status.get();
}

template <class T, int States>
int32_t run_ss2d_backward(
    const cscan_ss2d &scan, const cscan_ss2d_gradient &gradient, cscan_parallel_fn parallel) {
  using V = Vector<T>;
  constexpr int W = lanes<T>;
  Ss2dShared<T> shared(scan);
  const int64_t length = shared.length, tiles = shared.tiles, rows = shared.rows, blocks = shared.blocks;
  const int64_t N = scan.state, R = scan.rank;
  const int64_t parts = parts_of(blocks, scan.batch);
  // Sums of each part over its channels, and of each block over its positions.
  const int64_t row_sums_size = directions * tiles * rows * W;
  Scratch<T> row_sums(scan.batch * parts * row_sums_size);
  Scratch<V> parameter_sums(scan.batch * blocks * shared.block_parameters);
  if (!shared || !row_sums || !parameter_sums) return CSCAN_OUT_OF_MEMORY;
  shared.prepare(parallel);
  Status status;
  for_ranges(parallel, scan.batch * parts, [&](int64_t begin, int64_t end) {
    Scratch<V> inputs(length + 1), upstream(length + 1), downstream(length + 1), steps(tiles * W);
    Scratch<V> entries(tiles * N), carry(N);
    if (!inputs || !upstream || !downstream || !steps || !entries || !carry) return status.out_of_memory();
    for (int64_t task = begin; task < end; ++task) {
      const int64_t image = task / parts, part = task % parts;
      T *part_rows = row_sums.get() + task * row_sums_size;
      std::memset(part_rows, 0, std::size_t(row_sums_size) * sizeof(T));
      for (int64_t block = part * blocks / parts; block < (part + 1) * blocks / parts; ++block) {
        pack<T>(inputs.get(), scan.x, shared.place(scan.x, image, block));
        pack<T>(upstream.get(), gradient.y, shared.place(gradient.y, image, block));
        inputs[length] = upstream[length] = downstream[length] = V{};
        V *sums = parameter_sums.get() + (image * blocks + block) * shared.block_parameters;
        for (int64_t i = 0; i < shared.block_parameters; ++i) sums[i] = V{};
        const V skip = shared.skip(block);
        for (int64_t p = 0; p < length; ++p) downstream[p] = skip * upstream[p];
        sums[shared.block_parameters - 1] = dot<T>(upstream.get(), inputs.get(), length);
        for (int k = 0; k < directions; ++k, sums += R + 1 + N) {
          const Path<T> path = shared.path(image, block, k);
          const PathGradient<T> own{part_rows + k * tiles * rows * W, sums + R + 1, sums, sums + R};
          for (int64_t n = 0; n < N; ++n) carry[n] = V{};
          for (int64_t tile = 0; tile < tiles; ++tile) {
            expand_tile(path, tile, steps.get() + tile * W);
            for (int64_t n = 0; n < N; ++n) entries[tile * N + n] = carry[n];
            scan_tile<T, States>(path, tile, steps.get() + tile * W, inputs.get(), carry.get(), nullptr);
          }
          for (int64_t n = 0; n < N; ++n) carry[n] = V{};
          for (int64_t tile = tiles - 1; tile >= 0; --tile) {
            const V *step = steps.get() + tile * W;
            V draw[W];
            scan_tile_backward<T, States>(path, tile, step, inputs.get(), upstream.get(),
                entries.get() + tile * N, carry.get(), own, downstream.get(), draw);
            for (int t = 0; t < W; ++t) draw[t] *= Math<T>::softplus_slope(step[t]);
            expand_tile_backward(path, tile, draw, own);
          }
        }
        if (gradient.x.data) unpack<T>(downstream.get(), gradient.x, shared.place(gradient.x, image, block));
      }
    }
  });
  if (status.get() != CSCAN_OK) return status.get();

  if (gradient.projection.data) {
    for_ranges(parallel, scan.batch * directions * rows, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t image = i / (directions * rows), k = i / rows % directions, r = i % rows;
        unpack_row<T>(row_sums.get() + image * parts * row_sums_size + (k * tiles * rows + r) * W, parts,
            row_sums_size, gradient.projection, shared.row(gradient.projection, image, k, r),
            shared.row_scale(r));
      }
    });
  }
  for_ranges(parallel, blocks, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      for (int64_t i = 0; i < shared.block_parameters; ++i) {
        double sum[W] = {};
        for (int64_t image = 0; image < scan.batch; ++image) {
          const V part = parameter_sums[(image * blocks + block) * shared.block_parameters + i];
          for (int j = 0; j < W; ++j) sum[j] += part[j];
        }
        shared.write_parameter_gradient(gradient, block, i, sum);
      }
    }
  });
  return CSCAN_OK;
}

int32_t ss2d_forward(const cscan_ss2d &scan, cscan_tensor y, cscan_parallel_fn parallel) {
  if (scan.x.type == CSCAN_FLOAT64) return run_ss2d_forward<double, 0>(scan, y, parallel);
  return scan.state == 1 ? run_ss2d_forward<float, 1>(scan, y, parallel)
                         : run_ss2d_forward<float, 0>(scan, y, parallel);
}

int32_t ss2d_backward(
    const cscan_ss2d &scan, const cscan_ss2d_gradient &gradient, cscan_parallel_fn parallel) {
  if (scan.x.type == CSCAN_FLOAT64) return run_ss2d_backward<double, 0>(scan, gradient, parallel);
  return scan.state == 1 ? run_ss2d_backward<float, 1>(scan, gradient, parallel)
                         : run_ss2d_backward<float, 0>(scan, gradient, parallel);
}

}  // namespace CSCAN_VARIANT
