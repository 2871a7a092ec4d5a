#pragma once

// Passes over channels-last maps: normalisation of whole images, scaled sums, joins.

namespace CSCAN_VARIANT {

// How many numbers there were, their mean, and the sum of their squared distances from it.
struct Moments {
  double count, mean, squares;

  // Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances" (1979).
  void add(const Moments &other) {
    const double total = count + other.count, step = other.mean - mean;
    mean += step * (other.count / total);
    squares += other.squares + step * step * (count * other.count / total);
    count = total;
  }
};

// Of few enough numbers to stay in the first cache and to add up in the arithmetic's own precision.
template <class T>
CSCAN_INLINE Moments moments_of_piece(const T *x, int64_t count) {
  constexpr int W = lanes<T>;
  using V = Vector<T>;
  const int64_t whole = count / (2 * W) * (2 * W);
  V even{}, odd{};
  for (int64_t i = 0; i < whole; i += 2 * W) {
    even += load<T>(x + i);
    odd += load<T>(x + i + W);
  }
  even += odd;
  double sum = 0;
  for (int j = 0; j < W; ++j) sum += double(even[j]);
  for (int64_t i = whole; i < count; ++i) sum += double(x[i]);
  const T mean = T(sum / double(count));
  even = odd = V{};
  for (int64_t i = 0; i < whole; i += 2 * W) {
    const V a = load<T>(x + i) - mean, b = load<T>(x + i + W) - mean;
    even += a * a;
    odd += b * b;
  }
  even += odd;
  double squares = 0;
  for (int j = 0; j < W; ++j) squares += double(even[j]);
  for (int64_t i = whole; i < count; ++i) squares += double((x[i] - mean) * (x[i] - mean));
  // The squares are about the rounded mean.
  const double shift = sum / double(count) - double(mean);
  return {double(count), sum / double(count), squares - double(count) * shift * shift};
}

// The share of an image whose moments one task takes, and the pieces that it takes them in: numbers of elements.
constexpr int64_t norm_share = 1 << 15, norm_piece = 1 << 11;

template <class T>
int32_t run_norm(const cmap_norm &n, void *y_, cscan_parallel_fn parallel) {
  constexpr int W = lanes<T>;
  using V = Vector<T>;
  const auto *x = static_cast<const T *>(n.x), *weight = static_cast<const T *>(n.weight);
  const auto *bias = static_cast<const T *>(n.bias);
  auto *y = static_cast<T *>(y_);
  const int64_t size = n.positions * n.channels, shares = (size + norm_share - 1) / norm_share;
  Scratch<Moments> moments(n.batch * shares);
  if (!moments) return CSCAN_OUT_OF_MEMORY;
  for_ranges(parallel, n.batch * shares, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t from = task % shares * norm_share, to = std::min(size, from + norm_share);
      const T *image = x + task / shares * size;
      Moments sum{0, 0, 0};
      for (int64_t i = from; i < to; i += norm_piece) {
        sum.add(moments_of_piece(image + i, std::min(norm_piece, to - i)));
      }
      moments[task] = sum;
    }
  });
  Status status;
  for_ranges(parallel, n.batch * n.positions, [&](int64_t begin, int64_t end) {
    Scratch<T> factors(n.channels);
    if (!factors) return status.out_of_memory();
    int64_t image = -1;
    T mean{};
    for (int64_t pixel = begin; pixel < end; ++pixel) {
      if (pixel / n.positions != image) {
        image = pixel / n.positions;
        Moments sum = moments[image * shares];
        for (int64_t share = 1; share < shares; ++share) sum.add(moments[image * shares + share]);
        mean = T(sum.mean);
        const double inverse = 1 / std::sqrt(sum.squares / sum.count + n.epsilon);
        for (int64_t i = 0; i < n.channels; ++i) factors[i] = T(double(weight[i]) * inverse);
      }
      const T *source = x + pixel * n.channels;
      T *target = y + pixel * n.channels;
      int64_t i = 0;
      for (; i + W <= n.channels; i += W) {
        const V centred = load<T>(source + i) - mean;
        store<T>(target + i, centred * load<T>(factors.get() + i) + load<T>(bias + i));
      }
      for (; i < n.channels; ++i) target[i] = (source[i] - mean) * factors[i] + bias[i];
    }
  });
  return status.get();
}

int32_t norm_forward(const cmap_norm &n, void *y, cscan_parallel_fn parallel) {
  return n.type == CSCAN_FLOAT64 ? run_norm<double>(n, y, parallel) : run_norm<float>(n, y, parallel);
}

template <class T>
int32_t run_scaled_sum(const cmap_scaled_sum &s, void *y, cscan_parallel_fn parallel) {
  constexpr int W = lanes<T>;
  const auto *scale = static_cast<const T *>(s.scale), *offset = static_cast<const T *>(s.offset);
  for_ranges(parallel, s.pixels, [&](int64_t begin, int64_t end) {
    for (int64_t pixel = begin; pixel < end; ++pixel) {
      const T *shortcut = static_cast<const T *>(s.shortcut) + pixel * s.channels;
      const T *branch = static_cast<const T *>(s.branch) + pixel * s.channels;
      T *target = static_cast<T *>(y) + pixel * s.channels;
      int64_t i = 0;
      for (; i + W <= s.channels; i += W) {
        const Vector<T> sum = load<T>(branch + i) + load<T>(offset + i);
        store<T>(target + i, load<T>(shortcut + i) * load<T>(scale + i) + sum);
      }
      for (; i < s.channels; ++i) target[i] = shortcut[i] * scale[i] + (branch[i] + offset[i]);
    }
  });
  return CSCAN_OK;
}

int32_t scaled_sum_forward(const cmap_scaled_sum &s, void *y, cscan_parallel_fn parallel) {
  return s.type == CSCAN_FLOAT64 ? run_scaled_sum<double>(s, y, parallel)
                                 : run_scaled_sum<float>(s, y, parallel);
}

template <class T>
int32_t run_join(const cmap_join &m, void *y, cscan_parallel_fn parallel) {
  int64_t total = 0;
  for (int64_t i = 0; i < m.count; ++i) total += m.channels[i];
  Status status;
  for_ranges(parallel, m.pixels, [&](int64_t begin, int64_t end) {
    Scratch<T> line(m.order ? total : 0);
    if (!line) return status.out_of_memory();
    for (int64_t pixel = begin; pixel < end; ++pixel) {
      T *target = static_cast<T *>(y) + pixel * total;
      T *joined = m.order ? line.get() : target;
      for (int64_t i = 0; i < m.count; ++i) {
        const std::size_t bytes = std::size_t(m.channels[i]) * sizeof(T);
        std::memcpy(joined, static_cast<const T *>(m.maps[i]) + pixel * m.channels[i], bytes);
        joined += m.channels[i];
      }
      if (!m.order) continue;
      for (int64_t j = 0; j < total; ++j) target[j] = line[m.order[j]];
    }
  });
  return status.get();
}

int32_t join_forward(const cmap_join &m, void *y, cscan_parallel_fn parallel) {
  return m.type == CSCAN_FLOAT64 ? run_join<double>(m, y, parallel) : run_join<float>(m, y, parallel);
}

}  // namespace CSCAN_VARIANT
