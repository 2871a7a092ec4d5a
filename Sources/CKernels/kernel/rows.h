#pragma once

// One row of what all channels share (a line of low-rank dt, B or C), between its tensor and its packed form
// in a path's order.

namespace CSCAN_VARIANT {

struct Row {
  int64_t offset, stride;  // in the tensor
  const int32_t *order;    // position at each place of the path
  int64_t length, tiles;
  int64_t tile_stride;  // between one row's tiles in the packed form
};

// Fills `packed` with the row times `scale`, and zeros beyond the path's end.
template <class T>
void pack_row(T *packed, const cscan_tensor &tensor, const Row &row, T scale) {
  constexpr int W = lanes<T>;
  with_elements<T>(tensor, [&](auto *base) {
    const auto *source = base + row.offset;
    for (int64_t tile = 0; tile < row.tiles; ++tile) {
      T *target = packed + tile * row.tile_stride;
      const int32_t *order = row.order + tile * W;
      const int64_t left = row.length - tile * W;
      if (left >= W) {
        for (int t = 0; t < W; ++t) target[t] = load_one<T>(source + order[t] * row.stride) * scale;
      } else {
        for (int t = 0; t < W; ++t)
          target[t] = t < left ? load_one<T>(source + order[t] * row.stride) * scale : T(0);
      }
    }
  });
}

// Writes `scale` times the sum of `parts` packed rows, `part_stride` apart.
template <class T>
void unpack_row(const T *packed, int64_t parts, int64_t part_stride, const cscan_tensor &tensor,
    const Row &row, T scale) {
  constexpr int W = lanes<T>;
  with_elements<T>(tensor, [&](auto *base) {
    auto *target = base + row.offset;
    for (int64_t tile = 0; tile < row.tiles; ++tile) {
      const T *source = packed + tile * row.tile_stride;
      const int32_t *order = row.order + tile * W;
      Vector<T> sum{};
      for (int64_t part = 0; part < parts; ++part) {
        sum += *reinterpret_cast<const Vector<T> *>(source + part * part_stride);
      }
      sum *= scale;
      const int64_t left = row.length - tile * W;
      for (int t = 0; t < W && t < left; ++t) store_one<T>(target + order[t] * row.stride, T(sum[t]));
    }
  });
}

}  // namespace CSCAN_VARIANT
