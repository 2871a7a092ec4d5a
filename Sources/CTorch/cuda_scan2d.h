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

// How often the 32 lanes meet in a bank of shared memory when they read x (4 words a pixel) and y (8 words, half a warp at
// a time), in both directions.
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

// Bytes of shared memory of one ring.
inline int64_t ring_bytes(int height, int pitch, int rank, int warps, int buffers) {
  return int64_t(2 + buffers) * height * pitch * 16 + buffers * (32 * rank + 96) * 4 + warps * 32;
}

struct Rings {
  Plane plane;
  int warps = 1, rings = 1, buffers = 1, blocks = 1;  // of a ring, of a block, of a ring, of a multiprocessor
  int chunks = 0;
  bool wrap = false;
  int64_t bytes = 0, grid = 0;
};

// None if the plane does not fit shared memory.
inline std::optional<Rings> rings(
    int64_t height, int64_t width, int64_t rank, int64_t tiles, int64_t most_bytes, int multiprocessors) {
  Rings r;
  if (height * width > most_bytes / 48) return std::nullopt;
  for (int items : {14, 12, 16, 10, 8, 7}) {
    if (height % items == 0 && width % items == 0) {
      r.plane.items = items;
      break;
    }
  }
  r.wrap = r.plane.items == 0;
  if (r.wrap) r.plane.items = 8;
  r.plane = lay_out(int(height), int(width), r.plane.items);
  r.chunks = int((height * width + 8 * r.plane.items - 1) / (8 * r.plane.items));
  r.warps = r.chunks <= 4 ? 1 : std::min(r.chunks, 12);
  r.rings = r.warps == 1 ? 4 : 1;
  for (r.buffers = r.warps == 1 ? 1 : 2; r.buffers > 0; r.buffers--) {
    r.bytes = r.rings * ring_bytes(int(height), r.plane.pitch, int(rank), r.warps, r.buffers);
    if (r.bytes <= most_bytes) break;
  }
  if (r.buffers == 0) return std::nullopt;
  r.blocks = int(std::clamp<int64_t>(16 / (r.warps * r.rings), 1, most_bytes / r.bytes));
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
