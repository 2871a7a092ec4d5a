// How the kernels of the 2-D scan are laid over a map. Knows neither LibTorch nor the driver.
#pragma once
#include <algorithm>
#include <cstdint>
#include <optional>

namespace ctorch::cuda::scan2d {

// The kernel of one state, ss2d_forward.cu. The names are those of its macros and arguments.
struct Plane {
  int items = 0, pitch = 0, order = 0;
};

inline int line_of(int group, int order) {
  return order == 0   ? group
         : order == 1 ? (group & 1) | (group & 2) << 1 | (group & 4) >> 1
                      : (group & 3) << 1 | group >> 2;
}

// How often the 32 lanes meet in a bank of shared memory when they read x (4 words a pixel) and y (8 words, half a
// warp at a time), in both directions.
inline int conflicts(int height, int width, int items, int pitch, int order) {
  int total = 0;
  for (int column = 0; column < 2; column++) {
    int place[8];
    for (int group = 0; group < 8; group++) {
      const int first = line_of(group, order) * items, inner = column ? height : width;
      const int s = first < height * width ? first : 0;
      place[group] = s / inner * (column ? 1 : pitch) + s % inner * (column ? pitch : 1);
    }
    for (int words = 4; words <= 8; words += 4) {
      for (int from = 0; from < 8; from += 32 / words) {
        int users[32] = {}, most = 0;
        for (int group = from; group < from + 32 / words; group++) {
          bool same = false;
          for (int other = from; other < group; other++) same = same || place[other] == place[group];
          for (int i = 0; i < words && !same; i++) most = std::max(most, ++users[(place[group] * words + i) % 32]);
        }
        total += words == 8 ? 2 * most : most;
      }
    }
  }
  return total;
}

inline Plane lay_out(int height, int width, int items) {
  Plane best;
  int fewest = 1 << 30;
  for (int pitch = width; pitch < width + 4; pitch++) {
    for (int order = 0; order < 3; order++) {
      const int found = conflicts(height, width, items, pitch, order);
      if (found < fewest) fewest = found, best = {items, pitch, order};
    }
  }
  return best;
}

struct Rings {
  Plane plane;
  int warps = 1, rings = 1, buffers = 1, blocks = 1;  // of a ring, of a block, of a ring, of a multiprocessor
  int chunks = 0;
  bool wrap = false, staged = false, prefetch = false;
  int64_t bytes = 0, grid = 0;
};

// 16 bytes of a pixel's projection in one direction: the time step's rank, B and C.
inline int row_steps(int64_t rank) { return int((rank + 9) / 8); }

// Bytes of shared memory of a block.
inline int64_t block_bytes(const Rings &r, int64_t height, int64_t rank) {
  const int64_t planes = (2 + r.buffers) * height * r.plane.pitch * 16, parameters = r.buffers * (32 * rank + 96) * 4;
  const int64_t stage = r.staged ? r.plane.items * row_steps(rank) * 128 : 0;
  return r.rings * (planes + parameters + r.warps * (32 + stage)) + 64 * r.chunks;
}

// None if the plane does not fit shared memory. Sizes are arguments of the kernel, not macros: the few counts below
// are all that is compiled, whatever sizes a process meets.
inline std::optional<Rings> rings(
    int64_t height, int64_t width, int64_t rank, int64_t tiles, int64_t most_bytes, int multiprocessors) {
  if (height * width > most_bytes / 48) return std::nullopt;
  Rings r;
  // One warp walks a small plane alone; on larger ones twelve warps, with the registers that 14 positions want, beat
  // more.
  const bool small = height * width <= 256;
  for (int items : {14, 12, 10, 8, 7, 6, 5}) {
    if ((!small || items <= 8) && height % items == 0 && width % items == 0) {
      r.plane.items = items;
      break;
    }
  }
  r.wrap = r.plane.items == 0;
  if (r.wrap) r.plane.items = 8;
  r.plane = lay_out(int(height), int(width), r.plane.items);
  r.chunks = int((height * width + 8 * r.plane.items - 1) / (8 * r.plane.items));
  // Many tiles of small planes read the same rows at the same time, from the first-level cache. More words than 21 ahead of
  // time spill registers.
  const int steps = row_steps(rank);
  r.staged = !small && steps <= 2;
  r.prefetch = !r.staged && r.plane.items * steps <= 21;
  const auto fits = [&](int warps, int rings, int buffers, int blocks) {
    r.warps = warps, r.rings = rings, r.buffers = buffers, r.blocks = blocks;
    r.bytes = block_bytes(r, height, rank);
    // A multiprocessor has 1 KB more than a block may take, and keeps 1 KB for each block.
    return blocks * (r.bytes + 1024) <= most_bytes + 1024;
  };
  if (small) {
    if (!fits(1, 4, 1, 4) && !fits(1, 4, 1, 1) && !fits(1, 1, 1, 1)) return std::nullopt;
  } else {
    const int half = std::min(r.chunks, 6), whole = std::min(r.chunks, 12);
    if (!fits(half, 1, 2, 2) && !fits(whole, 1, 2, 1) && !fits(whole, 1, 1, 1)) {
      r.staged = false;
      if (!fits(whole, 1, 1, 1)) return std::nullopt;
    }
  }
  const int64_t needed = (tiles + r.rings - 1) / r.rings;
  r.grid = r.buffers == 2 ? std::min<int64_t>(needed, int64_t(multiprocessors) * r.blocks) : needed;
  return r;
}

// The kernels for all else, ss2d_general.cu.
struct Tiles {
  int height = 0, width = 0;  // of one tile
  int together = 0;           // directions in shared memory at a time
  int64_t bytes = 0;          // of shared memory
};

// At most 16, the warps of a block, with the least of the last tile outside the map.
inline int tile_side(int64_t side) {
  if (side <= 16) return int(side);
  int best = 16;
  for (int t = 15; t >= 8; t--) {
    if ((side + t - 1) / t * t < (side + best - 1) / best * best) best = t;
  }
  return best;
}

inline Tiles tiles(int64_t height, int64_t width, int64_t rank, int64_t state, int real_bytes, int64_t most_bytes) {
  Tiles t;
  t.height = tile_side(height), t.width = tile_side(width);
  const int64_t row = (rank + 2 * state + 3) / 4 * 4;
  while (true) {
    const int64_t pixels = int64_t(t.height) * t.width;
    for (t.together = 4; t.together > 0; t.together -= 3) {
      t.bytes = (t.together * pixels * row + 4 * (rank + state + 2) * 32 + 2 * pixels * 33) * real_bytes;
      // Two blocks shall share a multiprocessor, unless one direction alone takes more.
      if (t.bytes <= (t.together == 4 ? most_bytes / 2 : most_bytes)) return t;
    }
    if (pixels == 1) return t;
    int &larger = t.height > t.width ? t.height : t.width;
    larger = (larger + 1) / 2;
  }
}

}  // namespace ctorch::cuda::scan2d
