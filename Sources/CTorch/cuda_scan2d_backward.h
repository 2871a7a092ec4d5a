// How the general kernels of the 2-D scan's backward pass are laid over a map. Knows neither LibTorch nor the driver.
#pragma once
#include <algorithm>
#include <cstdint>

namespace ctorch::cuda::scan2d {

// The names are those of the macros and arguments of ss2d_backward_general.cu.
struct BackwardTiles {
  int side = 0;
  int together = 0;
  int down = 0, across = 0;
  int blocks = 1;
  int64_t bytes = 0;  // of shared memory

  // Numbers of scratch for 32 channels of an image.
  int64_t task_size(int64_t height, int64_t width, int64_t state) const {
    return 2 * (height * across + width * down) * (1 + 2 * state) * 32;
  }
};

inline int64_t backward_bytes(int side, int together, int64_t rank, int64_t state, int real_bytes) {
  const int64_t pixels = int64_t(side) * side, row = (rank + 2 * state + 3) / 4 * 4, weight = (rank + 7) / 8 * 8 + 4;
  const int line = side > 8 ? 16 : side > 4 ? 8 : side > 2 ? 4 : side;
  const int64_t exchange = 2 * side * (32 + 32 / line), parameters = side * (rank + state + 2) * 32;
  return (together * (pixels * row + 32 * weight) + side * exchange + parameters + 3 * pixels * 33) * real_bytes;
}

// The side with the least of the last tile outside the map; 0 lets that decide.
inline BackwardTiles backward_tiles(
    int64_t height, int64_t width, int64_t rank, int64_t state, int real_bytes, int64_t most_bytes, int side = 0) {
  BackwardTiles t;
  const auto covered = [&](int64_t s) { return ((height + s - 1) / s) * ((width + s - 1) / s) * s * s; };
  const int64_t longest = std::max(height, width);
  const auto fit = [&](int s) {
    t.side = s;
    for (t.together = 4; t.together > 0; t.together -= 3) {
      t.bytes = backward_bytes(s, t.together, rank, state, real_bytes);
      // Three blocks shall share a multiprocessor, unless one direction alone takes more.
      if (t.bytes <= (t.together == 4 ? most_bytes / 3 : most_bytes)) return true;
    }
    t.together = 1;
    return false;
  };
  if (side > 0) {
    fit(side);
  } else {
    int best = int(std::min<int64_t>(longest, 8));
    for (int s = 7; s >= 6 && longest > 8; s--) {
      if (covered(s) < covered(best)) best = s;
    }
    while (!fit(best) && best > 1) best = (best + 1) / 2;
  }
  t.down = int((height + t.side - 1) / t.side), t.across = int((width + t.side - 1) / t.side);
  t.blocks = real_bytes == 4 ? int(std::clamp<int64_t>(most_bytes / (t.bytes + 1024), 1, 3)) : 1;
  return t;
}

}  // namespace ctorch::cuda::scan2d
