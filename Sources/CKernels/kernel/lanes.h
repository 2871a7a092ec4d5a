#pragma once

// Vectors of channels. A block holds as many channels as a vector has lanes, and a tile as many positions,
// so that transposing a tile swaps the two.

namespace CSCAN_VARIANT {

#define CSCAN_INLINE static inline __attribute__((always_inline))

template <class T>
struct VectorOf {
  typedef T type __attribute__((vector_size(CSCAN_VECTOR_BYTES)));
};
template <class T>
using Vector = typename VectorOf<T>::type;

template <class T>
constexpr int lanes = CSCAN_VECTOR_BYTES / int(sizeof(T));

template <class T>
CSCAN_INLINE Vector<T> splat(T value) {
  return value - Vector<T>{};
}

// Lane i of the result is lane i of `a` where bit `Bit` of i is clear, else of `b`.
template <int Bit, class V, std::size_t... I>
CSCAN_INLINE V blend(V a, V b, std::index_sequence<I...>) {
  return __builtin_shufflevector(a, b, ((I & Bit) ? int(I + sizeof...(I)) : int(I))...);
}

// As blend, with the chosen lane's neighbour across `Bit` in place of the lane itself.
template <int Bit, class V, std::size_t... I>
CSCAN_INLINE V blend_across(V a, V b, std::index_sequence<I...>) {
  return __builtin_shufflevector(a, b, ((I & Bit) ? int((I ^ Bit) + sizeof...(I)) : int(I ^ Bit))...);
}

// Lane i is lane i of `a` where the bit is clear, else lane i ^ Bit of `b`.
template <int Bit, class V, std::size_t... I>
CSCAN_INLINE V swap_low(V a, V b, std::index_sequence<I...>) {
  return __builtin_shufflevector(a, b, ((I & Bit) ? int((I ^ Bit) + sizeof...(I)) : int(I))...);
}

// Lane i is lane i ^ Bit of `a` where the bit is clear, else lane i of `b`.
template <int Bit, class V, std::size_t... I>
CSCAN_INLINE V swap_high(V a, V b, std::index_sequence<I...>) {
  return __builtin_shufflevector(a, b, ((I & Bit) ? int(I + sizeof...(I)) : int(I ^ Bit))...);
}

template <class T, int Bit>
CSCAN_INLINE void transpose_from(Vector<T> *rows) {
  constexpr auto all = std::make_index_sequence<lanes<T>>();
#pragma clang loop unroll(full)
  for (int i = 0; i < lanes<T>; ++i) {
    if (i & Bit) continue;
    const Vector<T> low = rows[i], high = rows[i + Bit];
    rows[i] = swap_low<Bit>(low, high, all);
    rows[i + Bit] = swap_high<Bit>(low, high, all);
  }
  if constexpr (Bit > 1) transpose_from<T, Bit / 2>(rows);
}

template <class T, int Bit>
CSCAN_INLINE Vector<T> sum_from(Vector<T> *rows) {
  constexpr auto all = std::make_index_sequence<lanes<T>>();
#pragma clang loop unroll(full)
  for (int i = 0; i < Bit; ++i) {
    rows[i] = blend<Bit>(rows[i], rows[i + Bit], all) + blend_across<Bit>(rows[i], rows[i + Bit], all);
  }
  if constexpr (Bit > 1) return sum_from<T, Bit / 2>(rows);
  return rows[0];
}

// A tile in registers: an array that is only ever indexed by constants.
template <class T>
struct Tile {
  Vector<T> rows[lanes<T>];

  CSCAN_INLINE Tile from(const Vector<T> *source) {
    Tile tile;
#pragma clang loop unroll(full)
    for (int i = 0; i < lanes<T>; ++i) tile.rows[i] = source[i];
    return tile;
  }
};

// Swaps channels and positions.
template <class T>
CSCAN_INLINE Tile<T> transposed(Tile<T> tile) {
  transpose_from<T, lanes<T> / 2>(tile.rows);
  return tile;
}

// Lane i of the result is the sum over the lanes of row i.
template <class T>
CSCAN_INLINE Vector<T> sum_lanes(Tile<T> tile) {
  return sum_from<T, lanes<T> / 2>(tile.rows);
}

// sum_i rows[i] * factors[i].
template <class T>
CSCAN_INLINE Vector<T> weighted_sum(const Tile<T> &tile, const T *factors) {
  Vector<T> even{}, odd{};
#pragma clang loop unroll(full)
  for (int i = 0; i < lanes<T>; i += 2) {
    even += tile.rows[i] * factors[i];
    odd += tile.rows[i + 1] * factors[i + 1];
  }
  return even + odd;
}

}  // namespace CSCAN_VARIANT
