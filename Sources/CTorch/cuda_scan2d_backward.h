// How the general kernels of the 2-D scan's backward pass are laid over a map. Knows neither LibTorch nor the driver.
#pragma once
#include <algorithm>
#include <cstdint>

namespace ctorch::cuda::scan2d {

// The names are those of the macros and arguments of ss2d_backward_general.cu; sizes count numbers.
struct BackwardPlan {
  int side = 0, together = 0, blocks = 1;
  int down = 0, across = 0, parts = 1, groups = 1, splits = 1;
  int carry_warps = 1;
  int64_t bytes = 0;    // of shared memory
  int64_t columns = 0;  // 32 channels each
  int64_t images = 1;   // of one launch
  int64_t launches = 1;
  int64_t scratch_size = 0, rows_size = 0, parameters_size = 0;  // of an image, a split, a block
};

inline int64_t backward_bytes(int side, int together, int64_t rank, int64_t state, int real_bytes) {
  const int64_t pixels = int64_t(side) * side, row = (rank + 2 * state + 3) / 4 * 4, weight = (rank + 7) / 8 * 8 + 4;
  const int line = side > 8 ? 16 : side > 4 ? 8 : side > 2 ? 4 : side;
  const int64_t exchange = 2 * side * (32 + 32 / line), parameters = side * (rank + state + 2) * 32;
  return (together * (pixels * row + 32 * weight) + side * exchange + parameters + 3 * pixels * 33) * real_bytes;
}

// A side of 0 is chosen: at most 8, with the least of the last tiles outside the map.
inline BackwardPlan backward_plan(
    int64_t batch, int64_t channels, int64_t height, int64_t width, int64_t rank, int64_t state, int real_bytes,
    int64_t most_bytes, int multiprocessors, int side = 0) {
  BackwardPlan p;
  const auto tiles = [&](int64_t s) { return ((height + s - 1) / s) * ((width + s - 1) / s); };
  // Three blocks shall share a multiprocessor, unless one direction alone takes more.
  const auto fit = [&](int s) {
    p.side = s;
    p.together = backward_bytes(s, 4, rank, state, real_bytes) <= most_bytes / 3 - 1024 ? 4 : 1;
    p.bytes = backward_bytes(s, p.together, rank, state, real_bytes);
    return p.bytes <= most_bytes;
  };
  int best = side > 0 ? side : int(std::min<int64_t>(std::max(height, width), 8));
  for (int s = 7; side == 0 && best > 6 && s >= 6; s--) {
    if (tiles(s) * s * s < tiles(best) * best * best) best = s;
  }
  while (!fit(best) && best > 1 && side == 0) best = (best + 1) / 2;
  p.down = int((height + p.side - 1) / p.side), p.across = int((width + p.side - 1) / p.side);
  p.blocks = real_bytes == 4 ? int(std::clamp<int64_t>(most_bytes / (p.bytes + 1024), 1, 3)) : 1;

  // A warp of the second kernel takes at least a batch of segments.
  p.carry_warps = int(std::clamp<int64_t>((std::max(height * p.across, width * p.down) + 7) / 8, 1, 16));
  p.columns = (channels + 31) / 32;
  p.scratch_size = p.columns * 2 * (height * p.across + width * p.down) * (1 + 2 * state) * 32;
  p.rows_size = 4 * height * width * (rank + 2 * state);
  p.parameters_size = 4 * channels * (rank + state + 2);
  // Each kind of scratch takes about as much room as the map in the arithmetic's type, or as what is little on any GPU.
  const int64_t room = std::max<int64_t>(batch * channels * height * width, 1 << 24);
  const auto most = [&](int64_t size) { return std::max<int64_t>(room / size, 1); };
  p.images = std::min(2 * most(p.scratch_size), batch);
  p.launches = (batch + p.images - 1) / p.images;
  // Parts of images, tiles and channels fill the GPU: images have the fewest sums to add up afterwards, channels the
  // most.
  const int64_t wanted = int64_t(multiprocessors) * p.blocks * 8, blocks = most(p.launches * p.parameters_size);
  // As many parts as the limit allows, none much larger than another.
  const auto divide = [&](int64_t count, int64_t had, int64_t limit) {
    const int64_t parts = std::clamp<int64_t>((wanted + had - 1) / had, 1, std::clamp<int64_t>(limit, 1, count));
    const int64_t each = (count + parts - 1) / parts;
    return int((count + each - 1) / each);
  };
  p.parts = divide(p.images, 1, blocks);
  p.groups = divide(tiles(p.side), p.parts, blocks / p.parts);
  p.splits = divide(p.columns, int64_t(p.parts) * p.groups, most(p.images * p.rows_size));
  return p;
}

}  // namespace ctorch::cuda::scan2d
