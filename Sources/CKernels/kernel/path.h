#pragma once

// One scan: one block of channels along one path through the positions.
//
// A path is cut into tiles of W positions (W lanes in a vector, so W channels in a block). What all channels
// share comes packed per tile, in the path's order: R rows of low-rank dt, N of B, N of C, each of W
// positions. The last tile is filled up with zeros, and its surplus positions point at a spare row of the
// block that is zero, so no loop has a remainder.
//
// Steps are in units of Math<T>::unit, hence B is packed in these units too: step * B * u is then what the
// definition says.

namespace CSCAN_VARIANT {

template <class T>
struct Path {
  static constexpr int W = lanes<T>;

  int64_t tiles, rank, state;
  const T *rows;            // [tiles][rank + 2 state][W]
  const int32_t *order;     // [tiles][W]: the position at each place of the path
  const Vector<T> *weight;  // [rank], divided by the unit
  const Vector<T> *bias;    // [1], divided by the unit
  const Vector<T> *a;       // [state]

  int64_t rows_per_tile() const { return rank + 2 * state; }
  const T *dt(int64_t tile) const { return rows + tile * rows_per_tile() * W; }
  const T *b(int64_t tile) const { return dt(tile) + rank * W; }
  const T *c(int64_t tile) const { return b(tile) + state * W; }
};

// The loops over a tile's positions interleave this many, for their long chains of dependent operations.
#define CSCAN_INTERLEAVE _Pragma("clang loop unroll_count(4)")

// Steps of one tile from the low-rank dt: softplus(weight . dt + bias).
template <class T>
CSCAN_INLINE void expand_tile(const Path<T> &path, int64_t tile, Vector<T> *step) {
  constexpr int W = lanes<T>;
  Vector<T> sum[W];
  for (int t = 0; t < W; ++t) sum[t] = *path.bias;
  const T *dt = path.dt(tile);
  for (int64_t r = 0; r < path.rank; ++r, dt += W) {
    const Vector<T> weight = path.weight[r];
#pragma clang loop unroll(full)
    for (int t = 0; t < W; ++t) sum[t] += weight * dt[t];
  }
  CSCAN_INTERLEAVE
  for (int t = 0; t < W; ++t) step[t] = Math<T>::softplus(sum[t]);
}

// Advances the states `h` over one tile and adds what they put out to `y`, unless that is null.
// `States` is the number of states if it is known when compiling, else 0.
template <class T, int States>
CSCAN_INLINE void scan_tile(const Path<T> &path, int64_t tile, const Vector<T> *step, const Vector<T> *u,
    Vector<T> *h, Vector<T> *y) {
  constexpr int W = lanes<T>;
  using V = Vector<T>;
  const int64_t states = States ? States : path.state;
  const int32_t *order = path.order + tile * W;
  const T *b = path.b(tile), *c = path.c(tile);
  for (int64_t n = 0; n < states; ++n, b += W, c += W) {
    const V a = path.a[n];
    V decay[W], state = h[n];
    CSCAN_INTERLEAVE
    for (int t = 0; t < W; ++t) decay[t] = Math<T>::exp(a * step[t]);
    CSCAN_INTERLEAVE
    for (int t = 0; t < W; ++t) {
      state = decay[t] * state + b[t] * (step[t] * u[order[t]]);
      if (y) y[order[t]] += c[t] * state;
    }
    h[n] = state;
  }
}

// Sums over positions of one block and path, in units of the step where a step is a factor.
template <class T>
struct PathGradient {
  T *rows;            // as Path::rows, added to: sums over the lanes
  Vector<T> *a;       // [state], added to
  Vector<T> *weight;  // [rank], added to
  Vector<T> *bias;    // [1], added to
};

// Runs one tile backwards. `entry` [state] are the states before the tile, `carry` [state] the gradients that
// reach the state after the tile's last position from later ones; it becomes the same for the previous tile.
// Adds to `du`; `dstep` [W] receives the gradient of the step times the unit.
template <class T, int States>
CSCAN_INLINE void scan_tile_backward(const Path<T> &path, int64_t tile, const Vector<T> *step,
    const Vector<T> *u, const Vector<T> *dy, const Vector<T> *entry, Vector<T> *carry,
    const PathGradient<T> &gradient, Vector<T> *du, Vector<T> *dstep) {
  constexpr int W = lanes<T>;
  using V = Vector<T>;
  const int64_t states = States ? States : path.state;
  const int32_t *order = path.order + tile * W;
  const T *b = path.b(tile), *c = path.c(tile);
  T *db = gradient.rows + (b - path.rows), *dc = gradient.rows + (c - path.rows);
  V through_b[W];
  for (int64_t n = 0; n < states; ++n, b += W, c += W, db += W, dc += W) {
    const V a = path.a[n], a_unit = a * T(Math<T>::unit);
    V decay[W], decayed[W], product[W];
    CSCAN_INTERLEAVE
    for (int t = 0; t < W; ++t) decay[t] = Math<T>::exp(a * step[t]);
    V h = entry[n];
    CSCAN_INTERLEAVE
    for (int t = 0; t < W; ++t) {
      decayed[t] = decay[t] * h;
      h = decay[t] * h + b[t] * (step[t] * u[order[t]]);
      product[t] = dy[order[t]] * h;
    }
    *reinterpret_cast<V *>(dc) += sum_lanes(Tile<T>::from(product));

    // dh is the gradient of one position's state; `later` what reaches it from the next one.
    V later = carry[n], da{};
    CSCAN_INTERLEAVE
    for (int t = W - 1; t >= 0; --t) {
      const V dh = c[t] * dy[order[t]] + later;
      later = decay[t] * dh;
      const V through_decay = dh * decayed[t];
      da += step[t] * through_decay;
      dstep[t] = a_unit * through_decay + (n ? dstep[t] : V{});
      through_b[t] = b[t] * dh + (n ? through_b[t] : V{});
      product[t] = dh * (step[t] * u[order[t]]);
    }
    carry[n] = later;
    gradient.a[n] += da;
    *reinterpret_cast<V *>(db) += sum_lanes(Tile<T>::from(product));
  }
  for (int t = 0; t < W; ++t) {
    dstep[t] += through_b[t] * u[order[t]];
    du[order[t]] += through_b[t] * step[t];
  }
}

// Takes the gradient of one tile's raw steps (before softplus) to weight, bias and the low-rank dt.
template <class T>
CSCAN_INLINE void expand_tile_backward(
    const Path<T> &path, int64_t tile, const Vector<T> *draw, const PathGradient<T> &gradient) {
  constexpr int W = lanes<T>;
  const Tile<T> channels = Tile<T>::from(draw);
  Vector<T> bias{};
#pragma clang loop unroll(full)
  for (int t = 0; t < W; ++t) bias += channels.rows[t];
  *gradient.bias += bias;
  const T *dt = path.dt(tile);
  for (int64_t r = 0; r < path.rank; ++r, dt += W) gradient.weight[r] += weighted_sum(channels, dt);

  const Tile<T> positions = transposed(channels);
  auto *ddt = reinterpret_cast<Vector<T> *>(gradient.rows + (path.dt(tile) - path.rows));
  const T *weight = reinterpret_cast<const T *>(path.weight);
  for (int64_t r = 0; r < path.rank; ++r, weight += W) ddt[r] += weighted_sum(positions, weight);
}

}  // namespace CSCAN_VARIANT
