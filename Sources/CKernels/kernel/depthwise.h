#pragma once

// Depthwise convolutions of channels-last maps. A task is a row of the output; it goes through the row in blocks of
// pixels and through a block's channels a vector at a time, so that maps and weights are read in the order in which
// they lie. Every pixel under the window is reached by a pointer; outside the map it points at zeros.

namespace CSCAN_VARIANT {

// One output row and what all its blocks share.
template <class T>
struct DepthwiseRow {
  const cmap_depthwise &c;
  const T *zeros;      // [C]
  const T **pixels;    // [kernel][pixels under a block's windows], filled block by block
  int64_t image, row;  // of the output
  T *target;           // the row's first element

  // The window's rows that lie inside the map.
  int64_t first() const { return std::max<int64_t>(0, c.padding - row * c.stride); }
  int64_t last() const { return std::min(c.kernel, c.height + c.padding - row * c.stride); }

  // Points at `count` pixels from `column` on, in each of the window's rows.
  void point(int64_t column, int64_t count) const {
    for (int64_t ky = first(); ky < last(); ++ky) {
      const int64_t y = row * c.stride - c.padding + ky;
      const T *line = static_cast<const T *>(c.x) + (image * c.height + y) * c.width * c.channels;
      for (int64_t j = 0; j < count; ++j) {
        const int64_t x = column + j;
        pixels[ky * count + j] = x >= 0 && x < c.width ? line + x * c.channels : zeros;
      }
    }
  }
};

// The pixels that a block computes side by side: enough to reuse each weight, few enough to stay in registers.
constexpr int depthwise_block = 8;

// A block at stride 1 for a constant side of the window: every pixel and every weight is loaded once a row of the window.
template <class T, int Kernel>
void depthwise_dense(const DepthwiseRow<T> &r, int64_t x0, int64_t present) {
  constexpr int W = lanes<T>, P = depthwise_block, J = P + Kernel - 1;
  using V = Vector<T>;
  const cmap_depthwise &c = r.c;
  r.point(x0 - c.padding, J);
  const auto *weight = static_cast<const T *>(c.weight), *bias = static_cast<const T *>(c.bias);
  const int64_t first = r.first(), last = r.last();
  with_activation(c.activation, [&](auto kind) {
    for (int64_t at = 0; at < c.channels; at += W) {
      // The last vector overlaps the one before it.
      const int64_t channel = std::min(at, c.channels - W);
      V sum[P];
      const V start = bias ? load<T>(bias + channel) : V{};
#pragma clang loop unroll(full)
      for (int p = 0; p < P; ++p) sum[p] = start;
      for (int64_t ky = first; ky < last; ++ky) {
        const T *const *pixels = r.pixels + ky * J;
        V w[Kernel];
#pragma clang loop unroll(full)
        for (int kx = 0; kx < Kernel; ++kx) w[kx] = load<T>(weight + (ky * Kernel + kx) * c.channels + channel);
#pragma clang loop unroll(full)
        for (int j = 0; j < J; ++j) {
          const V value = load<T>(pixels[j] + channel);
#pragma clang loop unroll(full)
          for (int kx = 0; kx < Kernel; ++kx) {
            if (j - kx >= 0 && j - kx < P) sum[j - kx] += value * w[kx];
          }
        }
      }
      T *target = r.target + x0 * c.channels + channel;
#pragma clang loop unroll(full)
      for (int p = 0; p < P; ++p) {
        if (p < present) store<T>(target + p * c.channels, activated<T, decltype(kind)::value>(sum[p]));
      }
    }
  });
}

// A block for any window and stride; `Lanes` is 1 where there are fewer channels than a vector has lanes.
template <class T, int Lanes>
void depthwise_any(const DepthwiseRow<T> &r, int64_t x0, int64_t present) {
  using V = Vector<T>;
  const cmap_depthwise &c = r.c;
  const int64_t under = (depthwise_block - 1) * c.stride + c.kernel;
  r.point(x0 * c.stride - c.padding, under);
  const auto *weight = static_cast<const T *>(c.weight), *bias = static_cast<const T *>(c.bias);
  const auto read = [](const T *source) {
    if constexpr (Lanes == 1) {
      return splat(*source);
    } else {
      return load<T>(source);
    }
  };
  with_activation(c.activation, [&](auto kind) {
    for (int64_t at = 0; at < c.channels; at += Lanes) {
      const int64_t channel = std::min(at, c.channels - Lanes);
      for (int64_t p = 0; p < present; ++p) {
        V sum = bias ? read(bias + channel) : V{};
        for (int64_t ky = r.first(); ky < r.last(); ++ky) {
          for (int64_t kx = 0; kx < c.kernel; ++kx) {
            sum += read(r.pixels[ky * under + p * c.stride + kx] + channel) *
                   read(weight + (ky * c.kernel + kx) * c.channels + channel);
          }
        }
        sum = activated<T, decltype(kind)::value>(sum);
        T *target = r.target + (x0 + p) * c.channels + channel;
        if constexpr (Lanes == 1) {
          *target = sum[0];
        } else {
          store<T>(target, sum);
        }
      }
    }
  });
}

template <class T>
void depthwise_block_of(const DepthwiseRow<T> &row, int64_t x0, int64_t present) {
  const cmap_depthwise &c = row.c;
  if (c.channels < lanes<T>) return depthwise_any<T, 1>(row, x0, present);
  if (c.stride == 1) {
    switch (c.kernel) {
      case 3: return depthwise_dense<T, 3>(row, x0, present);
      case 5: return depthwise_dense<T, 5>(row, x0, present);
      case 7: return depthwise_dense<T, 7>(row, x0, present);
    }
  }
  depthwise_any<T, lanes<T>>(row, x0, present);
}

template <class T>
int32_t run_depthwise(const cmap_depthwise &c, void *y, cscan_parallel_fn parallel) {
  const int64_t rows = (c.height + 2 * c.padding - c.kernel) / c.stride + 1;
  const int64_t columns = (c.width + 2 * c.padding - c.kernel) / c.stride + 1;
  const int64_t under = (depthwise_block - 1) * c.stride + c.kernel;
  Scratch<T> zeros(c.channels);
  if (!zeros) return CSCAN_OUT_OF_MEMORY;
  std::memset(zeros.get(), 0, std::size_t(c.channels) * sizeof(T));
  Status status;
  for_ranges(parallel, c.batch * rows, [&](int64_t begin, int64_t end) {
    Scratch<const T *> pixels(c.kernel * under);
    if (!pixels) return status.out_of_memory();
    for (int64_t task = begin; task < end; ++task) {
      T *target = static_cast<T *>(y) + task * columns * c.channels;
      const DepthwiseRow<T> row{c, zeros.get(), pixels.get(), task / rows, task % rows, target};
      for (int64_t x0 = 0; x0 < columns; x0 += depthwise_block) {
        depthwise_block_of<T>(row, x0, std::min<int64_t>(depthwise_block, columns - x0));
      }
    }
  });
  return status.get();
}

int32_t depthwise_forward(const cmap_depthwise &c, void *y, cscan_parallel_fn parallel) {
  return c.type == CSCAN_FLOAT64 ? run_depthwise<double>(c, y, parallel) : run_depthwise<float>(c, y, parallel);
}

}  // namespace CSCAN_VARIANT
