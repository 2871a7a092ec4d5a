// How the kernels for maps are launched: their parameters and the extents of grids and blocks, without LibTorch, so that the
// emulator's checks use the same.
#pragma once
#include <algorithm>
#include <cstdint>

namespace ctorch::cuda {

struct Plan {
  int64_t blocks = 1, groups = 1;  // of the grid: along x and along y
  int32_t across = 1, deep = 1;    // of a block: threads along the channels and along the pixels
  int64_t shared_bytes = 0;
};

inline int64_t shares(int64_t count, int64_t size) { return (count + size - 1) / size; }

// Channels of a thread: the most, up to `bytes`, that divide the channels and that every address allows.
inline int32_t vector_of(int64_t channels, int64_t element_bytes, uint64_t addresses, int64_t bytes) {
  int64_t count = std::max<int64_t>(1, bytes / element_bytes);
  while (count > 1 && (channels % count || addresses % uint64_t(std::min<int64_t>(16, count * element_bytes)))) count /= 2;
  return int32_t(count);
}

// ---- depthwise convolutions: `Depthwise` and `DepthwiseWeight` of the kernels

struct DepthwiseParameters {
  const void *x, *weight, *bias, *dy;
  void *y;
  int64_t strips;
  int32_t height, width, rows, columns, channels, tiles, padding, down, across, strip_rows, flipped, adds_input;
};

struct DepthwiseWeightParameters {
  const void *x, *dz;
  void *partial;
  int64_t strips;
  int32_t height, width, rows, columns, channels, tiles, padding, down, across, strip_rows;
};

// Pairs of channels, but for doubles, of which a thread's registers hold no more.
inline int32_t depthwise_vector(int64_t channels, int64_t element_bytes, uint64_t addresses) {
  return element_bytes == 8 ? 1 : vector_of(channels, element_bytes, addresses, 2 * element_bytes);
}

// Of the kernels for any stride, whose threads have few sums: `spreads` for depthwise_spread.
inline int32_t strided_vector(int64_t channels, int64_t element_bytes, uint64_t addresses, bool spreads) {
  return vector_of(channels, element_bytes, addresses, spreads ? 16 : 8);
}

// Threads along the channels of a block: all where they are few, else a share of them that leaves the fewest idle.
inline int32_t threads_across(int64_t groups) {
  if (groups <= 64) return int32_t(groups);
  int32_t best = 32;
  for (int32_t count = 64; count > 32; --count) {
    if (shares(groups, count) * count < shares(groups, best) * best) best = count;
  }
  return best;
}

// The columns of a thread at stride 1: as many as registers hold, and rather those that divide the map.
inline int32_t depthwise_columns(int64_t window, int64_t columns) {
  if (window > 7) return 2;
  if (window > 3) return 4;
  return columns % 7 == 0 || columns > 28 ? 7 : 4;
}

// Strips of the map until there are threads enough to fill the GPU; short ones read many rows twice.
template <class Parameters>
inline void lay_strips(Parameters &p, int64_t batch, int32_t columns, int64_t vectors, int64_t threads) {
  p.across = int32_t(shares(p.columns, columns));
  const int64_t whole = std::max<int64_t>(1, batch * p.across * vectors);
  const int64_t wanted = std::clamp<int64_t>(shares(threads, whole), 1, shares(p.rows, 2));
  p.strip_rows = int32_t(shares(p.rows, wanted));
  p.down = int32_t(shares(p.rows, p.strip_rows));
  p.strips = batch * p.across * p.down;
}

template <class Parameters>
inline Plan lay_channels(Parameters &p, int32_t vector, int32_t threads) {
  Plan plan;
  const int64_t vectors = p.channels / vector;
  plan.across = threads_across(vectors);
  plan.deep = std::max(1, threads / plan.across);
  p.tiles = int32_t(shares(vectors, plan.across));
  return plan;
}

inline int64_t staged_bytes(const Plan &plan, int64_t window, int32_t vector, int64_t real_bytes) {
  return (window * window + 1) * plan.across * vector * real_bytes;
}

// COLUMNS of depthwise_strips is `columns`.
inline Plan plan_strips(
    DepthwiseParameters &p, int64_t batch, int64_t window, int32_t vector, int32_t columns, int64_t real_bytes,
    int64_t multiprocessors) {
  Plan plan = lay_channels(p, vector, 128);
  lay_strips(p, batch, columns, p.channels / vector, multiprocessors * 1024);
  plan.blocks = shares(p.strips, plan.deep) * p.tiles;
  plan.shared_bytes = staged_bytes(plan, window, vector, real_bytes);
  return plan;
}

// depthwise_tiles and depthwise_weight_tiles take half types at stride 1.
inline bool has_tiles(int64_t window, int64_t stride, int64_t channels, int64_t element_bytes, uint64_t addresses) {
  return element_bytes == 2 && stride == 1 && window <= 9 && channels % 8 == 0 && addresses % 16 == 0;
}

// Strips whose rows are a multiple of 8 and that leave few of the `workers` idle at the end; a strip costs `overhead` rows.
template <class Parameters>
inline void lay_tall_strips(Parameters &p, int64_t batch, int64_t height, int64_t workers, int64_t overhead) {
  const int64_t steps = shares(height, 8);
  int64_t best = 0;
  for (int64_t down = 1; down <= steps; ++down) {
    const int64_t rows = shares(steps, down) * 8, strips = batch * p.across * shares(height, rows);
    const int64_t cost = shares(strips, workers) * (rows + overhead);
    if (down > 1 && cost >= best) continue;
    best = cost, p.strip_rows = int32_t(rows), p.down = int32_t(shares(height, rows)), p.strips = strips;
  }
}

// A block of depthwise_tiles has 32 channels and 17 - window columns of 8 strips; strips are as high as leaves few blocks
// idle at the end.
inline Plan plan_tiles(DepthwiseParameters &p, int64_t batch, int64_t window, bool gradient, int64_t multiprocessors) {
  const int64_t wide = 17 - window, result = 8 * (4 * wide + (wide % 2 ? 6 : 2));
  p.tiles = int32_t(shares(p.channels, 32));
  p.across = int32_t(shares(p.columns, wide));
  const int64_t workers = (window <= 3 && !gradient ? 2 : 1) * multiprocessors;
  Plan plan;
  int64_t best = 0;
  for (int64_t down = 1; down <= p.rows; ++down) {
    const int64_t rows = shares(p.rows, down), strips = batch * shares(p.rows, rows);
    const int64_t blocks = shares(strips, 8) * p.across * p.tiles, cost = shares(blocks, workers) * (rows + window + 7);
    if (down > 1 && cost >= best) continue;
    best = cost, plan.blocks = blocks;
    p.strip_rows = int32_t(rows), p.down = int32_t(shares(p.rows, rows)), p.strips = strips;
  }
  plan.across = 256;
  plan.shared_bytes = 16 * (8 * 640 + (gradient ? 10 : 2) * result);
  return plan;
}

// For depthwise_pixels and depthwise_spread.
inline Plan plan_pixels(
    DepthwiseParameters &p, int64_t batch, int64_t window, int32_t vector, int64_t real_bytes, int64_t multiprocessors) {
  Plan plan = lay_channels(p, vector, 256);
  p.strips = batch * p.rows * p.columns;
  plan.blocks = std::min(shares(p.strips, plan.deep), shares(multiprocessors * 16, p.tiles)) * p.tiles;
  plan.shared_bytes = staged_bytes(plan, window, vector, real_bytes);
  return plan;
}

// For depthwise_weight_strips, or depthwise_weight_pixels where `columns` is 0, whose ROWS are `window_rows`. The blocks
// that share the pixels are plan.blocks / p.tiles.
inline Plan plan_weight(
    DepthwiseWeightParameters &p, int64_t batch, int64_t window, int32_t vector, int32_t columns, int32_t window_rows,
    int64_t real_bytes, int64_t multiprocessors) {
  Plan plan = lay_channels(p, vector, 128);
  if (columns > 0) {
    lay_strips(p, batch, columns, p.channels / vector, multiprocessors * 512);
  } else {
    p.strips = batch * p.rows * p.columns;
    plan.groups = shares(window, window_rows);
  }
  const int64_t sharing = std::min(shares(p.strips, plan.deep), shares(multiprocessors * 8, p.tiles));
  plan.blocks = std::max<int64_t>(1, sharing) * p.tiles;
  plan.shared_bytes = plan.across * plan.deep * vector * window * real_bytes;
  return plan;
}

// depthwise_weight_tiles takes half types at stride 1 where the result is no larger than x.
struct WeightTiles {
  int32_t tiles = 1, groups = 1, parts = 1, split = 1;  // TILES, GROUPS, PARTS, SPLIT
};

inline WeightTiles weight_tiles_of(int64_t window, int64_t columns, int64_t channels) {
  const int64_t all = shares(columns, 8);
  WeightTiles t;
  t.tiles = int32_t(shares(all, shares(all, 8)));
  t.parts = window <= 3 ? 1 : window <= 7 ? 2 : 3;
  t.split = t.tiles > 1 ? 2 : 1;
  t.groups = std::max(1, 8 / (t.parts * t.split));
  if (t.parts == 3) t.groups = t.split == 1 ? 2 : 1;
  while (t.groups > channels / 8) t.groups /= 2;
  return t;
}

inline Plan plan_weight_tiles(
    DepthwiseWeightParameters &p, int64_t batch, const WeightTiles &t, int64_t multiprocessors) {
  const int64_t across = 8 * t.tiles, warps = t.groups * t.parts * t.split;
  p.tiles = int32_t(shares(p.channels / 8, t.groups));
  p.across = int32_t(shares(p.columns, across));
  const int64_t workers = std::max<int64_t>(1, shares(8, warps) * multiprocessors / p.tiles);
  lay_tall_strips(p, batch, p.height, workers, 16);
  Plan plan;
  plan.blocks = std::min(p.strips, workers) * p.tiles;
  plan.across = int32_t(warps * 32);
  plan.shared_bytes = std::max(t.groups * 16 * (16 * (across + 10) + 24 * (across + 2)), warps * 4096);
  return plan;
}

// The rows of the window that a thread of depthwise_weight_pixels has in registers.
inline int32_t weight_rows(int64_t window) { return int32_t(window <= 7 ? window : std::max<int64_t>(1, 48 / window)); }

// ---- passes over maps

struct ScaledSumParameters {
  const void *shortcut, *branch, *scale, *offset;
  void *y, *partial;
  int64_t pixels;
  int32_t channels;
};

struct JoinParameters {
  static constexpr int32_t most = 16;
  void *maps[most];
  int32_t first[most + 1];
  void *joined;
  const void *order;
  int64_t pixels;
  int32_t count, lines;
};

template <class Real>
struct MapNormParameters {
  const void *x, *weight, *bias;
  void *y, *dx, *statistics, *partial, *channel_sums;
  int64_t positions;
  int32_t channels, shares, blocks;
  Real epsilon;
};

// A block of `threads` with all channels along x if it can.
inline Plan plan_channels(int64_t channels, int32_t vector, int32_t threads = 256) {
  Plan plan;
  const int64_t vectors = channels / vector;
  plan.across = int32_t(std::min<int64_t>(vectors, threads));
  plan.deep = threads / plan.across;
  plan.groups = shares(vectors, plan.across);
  return plan;
}

// The blocks that share `pixels`: at most `filling` a multiprocessor.
inline int64_t sharing_blocks(const Plan &plan, int64_t pixels, int64_t multiprocessors, int64_t filling) {
  return std::clamp<int64_t>(multiprocessors * filling / plan.groups, 1, shares(pixels, plan.deep));
}

// The sums of a block's threads meet in shared memory.
inline int64_t sums_bytes(const Plan &plan, int32_t vector, int64_t real_bytes) {
  return 2 * plan.across * plan.deep * vector * real_bytes;
}

// Blocks that share a map's moments, a few groups of numbers at least for each thread; a warp takes their records together.
inline int64_t moment_shares(int64_t batch, int64_t size, int32_t vector, int64_t multiprocessors) {
  return std::clamp<int64_t>(multiprocessors * 4 / batch, 1, std::min<int64_t>(32, shares(size, vector * 1024)));
}

// Blocks that share a map's pixels in the other kernels of the group norm, `filling` of which a multiprocessor runs at once.
inline int64_t norm_blocks(
    const Plan &plan, int64_t batch, int64_t positions, int64_t multiprocessors, int64_t filling) {
  return std::clamp<int64_t>(multiprocessors * filling / (batch * plan.groups), 1, shares(positions, plan.deep));
}

inline Plan plan_join(JoinParameters &p, int32_t vector, int64_t element_bytes, int64_t multiprocessors) {
  const int64_t total = p.first[p.count];
  Plan plan = plan_channels(total, vector);
  plan.groups = 1;
  const int64_t lines = p.order ? 16384 / (total * element_bytes) : 4 * plan.deep;
  p.lines = int32_t(std::clamp<int64_t>(std::min(lines, shares(p.pixels, multiprocessors)), 1, 4 * plan.deep));
  plan.blocks = shares(p.pixels, p.lines);
  plan.shared_bytes = p.order ? p.lines * total * element_bytes : 0;
  return plan;
}

}  // namespace ctorch::cuda
