// How the fast backward pass of the 2-D scan, ss2d_backward.cu, is laid over a map. Knows no LibTorch and no driver.
#pragma once
#include "cuda_scan2d.h"

namespace ctorch::cuda::scan2d {

// The names are those of the kernel's macros and arguments.
struct Backward {
  Plane plane;
  int warps = 1, rings = 1, blocks = 1;  // of a ring, of a block, of a multiprocessor
  int ahead = 1, splits = 1, group = 1;
  bool wrap = false;
  int64_t bytes = 0;
  int64_t image_fragments = 0, tile_totals = 0;
  int64_t groups = 0;
};

inline int64_t backward_bytes(int height, int pitch, int rank, int warps, int rings, int ahead) {
  const int steps = (rank + 9) / 8, warp_bytes = 2 * (96 + (8 * steps + 2) * 32) + ahead * steps * 256;
  return int64_t(rings) * height * pitch * 64 + (32 * rank + 96) * 4 + warps * rings * warp_bytes;
}

// None if the plane does not fit shared memory.
inline std::optional<Backward> backward(
    int64_t batch, int64_t channels, int64_t height, int64_t width, int64_t rank, int64_t most_bytes,
    int multiprocessors) {
  const int64_t length = height * width;
  if (length > most_bytes / 64) return std::nullopt;
  Backward b;
  // At most 16 warps: each then has 128 registers.
  const int least = int(std::max<int64_t>(7, (length + 127) / 128));
  const auto divides = [&](int items) { return height % items == 0 && width % items == 0; };
  // Long rows take registers from items.
  const int64_t steps = (rank + 9) / 8;
  int items = steps >= 3 ? least : std::max(least, 12);
  while (items <= 28 && !divides(items)) items++;
  for (int i = 11; items > 28 && i >= least; i--)
    if (divides(i)) items = i;
  b.wrap = items > 28;
  if (b.wrap) items = int(std::max<int64_t>(least, std::min<int64_t>(14, (length + 7) / 8)));
  b.warps = int((length + 8 * items - 1) / (8 * items));
  b.plane = lay_out(int(height), int(width), items);
  for (b.rings = std::max(4 / b.warps, 1); b.rings > batch; b.rings /= 2) {}
  b.ahead = std::min(4, (items + 1) / 2);
  const auto size = [&] { return backward_bytes(int(height), b.plane.pitch, int(rank), b.warps, b.rings, b.ahead); };
  while (b.rings > 1 && size() > most_bytes) b.rings /= 2;
  while (b.ahead > 1 && size() > most_bytes) b.ahead--;
  if (size() > most_bytes) b.plane.pitch = int(width), b.plane.order = 0;
  b.bytes = size();
  if (b.bytes > most_bytes) return std::nullopt;
  b.blocks = int(std::clamp<int64_t>(16 / (b.warps * b.rings), 1, (most_bytes + 1024) / (b.bytes + 1024)));
  const int64_t slots = int64_t(multiprocessors) * b.blocks, teams = (batch + b.rings - 1) / b.rings;
  b.splits = int(std::clamp<int64_t>(slots / teams, 1, channels / 8));
  b.group = int(b.rings * ((teams + slots - 1) / slots));
  b.groups = (batch + b.group - 1) / b.group;
  b.image_fragments = 4 * b.warps * ((items + 1) / 2) * steps * 32;
  b.tile_totals = (4 * (8 * steps + 2) + 1) * 8;
  return b;
}

}  // namespace ctorch::cuda::scan2d
