// How the fast backward pass of the 2-D scan, ss2d_backward.cu, is laid over a map. Knows no LibTorch and no driver.
#pragma once
#include "cuda_scan2d.h"

namespace ctorch::cuda::scan2d {

// The names are those of the kernel's macros and arguments.
struct Backward {
  Plane plane;
  int warps = 1, rings = 1, blocks = 1;  // of a ring, of a block, of a multiprocessor
  bool wrap = false;
  int64_t bytes = 0;
  int64_t tile_fragments = 0, tile_totals = 0;
  int64_t together = 1;  // images of a launch: what their tiles add to the rows waits in memory
};

// So many images a launch that what waits for the sum fits the room, whole rings, and such a number of them that few
// multiprocessors idle at the end of each launch. `slots` are the blocks that run at once.
inline int64_t together(
    int64_t batch, int64_t rings, int64_t columns, int64_t tile_bytes, int64_t room, int64_t slots) {
  const int64_t most = std::clamp(room / (tile_bytes * columns) / rings, int64_t(1), 65535 / rings) * rings;
  if (most >= batch) return batch;
  const auto waves = [&](int64_t images) { return ((images + rings - 1) / rings * columns + slots - 1) / slots; };
  int64_t best = most, fewest = INT64_MAX;
  for (int64_t images = most; images >= rings && 2 * images >= most; images -= rings) {
    const int64_t total = batch / images * waves(images) + waves(batch % images);
    if (total < fewest) best = images, fewest = total;
  }
  return best;
}

inline int64_t backward_bytes(int height, int pitch, int rank, int warps, int rings) {
  const int steps = row_steps(rank), warp_bytes = 2 * (96 + (8 * steps + 2) * 32);
  return int64_t(rings) * height * pitch * 64 + (32 * rank + 96) * 4 + warps * rings * warp_bytes;
}

// None if the plane does not fit shared memory.
inline std::optional<Backward> backward(
    int64_t batch, int64_t channels, int64_t height, int64_t width, int64_t rank, int64_t most_bytes,
    int64_t cache_bytes, int multiprocessors) {
  const int64_t length = height * width;
  if (length > most_bytes / 64) return std::nullopt;
  Backward b;
  // At most 16 warps: each then has 128 registers.
  const int least = int(std::max<int64_t>(7, (length + 127) / 128));
  const auto divides = [&](int items) { return height % items == 0 && width % items == 0; };
  // Long rows take registers from items.
  const int64_t steps = row_steps(rank);
  int items = steps >= 3 ? least : std::max(least, 12);
  while (items <= 28 && !divides(items)) items++;
  for (int i = 11; items > 28 && i >= least; i--)
    if (divides(i)) items = i;
  b.wrap = items > 28;
  if (b.wrap) items = int(std::max<int64_t>(least, std::min<int64_t>(14, (length + 7) / 8)));
  b.warps = int((length + 8 * items - 1) / (8 * items));
  b.plane = lay_out(int(height), int(width), items);
  for (b.rings = std::max(4 / b.warps, 1); b.rings > batch; b.rings /= 2) {}
  const auto size = [&] { return backward_bytes(int(height), b.plane.pitch, int(rank), b.warps, b.rings); };
  while (b.rings > 1 && size() > most_bytes) b.rings /= 2;
  if (size() > most_bytes) b.plane.pitch = int(width), b.plane.order = 0;
  b.bytes = size();
  if (b.bytes > most_bytes) return std::nullopt;
  b.blocks = int(std::clamp<int64_t>(16 / (b.warps * b.rings), 1, (most_bytes + 1024) / (b.bytes + 1024)));
  const int64_t pairs = (items + 1) / 2;
  b.tile_fragments = 4 * b.warps * pairs * steps * 32;
  b.tile_totals = (4 * (8 * steps + 2) + 1) * 8;
  // Two maps' room, or on small maps a few times what the second-level cache holds.
  const int64_t room = std::max(2 * batch * channels * length * 2, 4 * cache_bytes);
  b.together =
      together(batch, b.rings, channels / 8, b.tile_fragments * 8, room, int64_t(multiprocessors) * b.blocks);
  return b;
}

}  // namespace ctorch::cuda::scan2d
