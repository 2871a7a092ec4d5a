#pragma once

// A block: some positions of as many channels as a vector has lanes, stored [positions][lanes].

namespace CSCAN_VARIANT {

// Where a block's channels lie in a tensor. Missing lanes (a last, partial block) read as zero and are not
// written.
struct Place {
  int64_t offset;   // of the first channel's first position
  int64_t channel;  // stride
  int64_t rows, row_stride;
  int64_t columns, column_stride;
  int channels;  // present lanes

  CSCAN_INLINE Place of(int64_t offset, int channels, int64_t channel, int64_t rows, int64_t row_stride,
      int64_t columns, int64_t column_stride) {
    // Rows that follow one another are one long row.
    if (columns == 1) return {offset, channel, 1, 0, rows, row_stride, channels};
    if (rows == 1 || row_stride == columns * column_stride) {
      return {offset, channel, 1, 0, rows * columns, column_stride, channels};
    }
    return {offset, channel, rows, row_stride, columns, column_stride, channels};
  }
};

template <class T, class E>
void pack_elements(Vector<T> *block, const E *base, const Place &place) {
  constexpr int W = lanes<T>;
  for (int64_t row = 0; row < place.rows; ++row) {
    const E *line = base + place.offset + row * place.row_stride;
    Vector<T> *target = block + row * place.columns;
    int64_t i = 0;
    if (place.channel == 1 && place.channels == W) {
      for (; i < place.columns; ++i) target[i] = load<T>(line + i * place.column_stride);
    } else if (place.column_stride == 1) {
      for (; i + W <= place.columns; i += W) {
        Tile<T> tile;
#pragma clang loop unroll(full)
        for (int j = 0; j < W; ++j) {
          tile.rows[j] = j < place.channels ? load<T>(line + j * place.channel + i) : Vector<T>{};
        }
        tile = transposed(tile);
#pragma clang loop unroll(full)
        for (int j = 0; j < W; ++j) target[i + j] = tile.rows[j];
      }
    }
    for (; i < place.columns; ++i) {
      Vector<T> value{};
      for (int j = 0; j < place.channels; ++j) {
        value[j] = load_one<T>(line + j * place.channel + i * place.column_stride);
      }
      target[i] = value;
    }
  }
}

// Reads a block. The tensor's elements become T.
template <class T>
void pack(Vector<T> *block, const cscan_tensor &tensor, const Place &place) {
  with_elements<T>(tensor, [&](auto *base) { pack_elements<T>(block, base, place); });
}

template <class T, class E>
void unpack_elements(const Vector<T> *block, E *base, const Place &place) {
  constexpr int W = lanes<T>;
  for (int64_t row = 0; row < place.rows; ++row) {
    E *line = base + place.offset + row * place.row_stride;
    const Vector<T> *source = block + row * place.columns;
    int64_t i = 0;
    if (place.channel == 1 && place.channels == W) {
      for (; i < place.columns; ++i) store<T>(line + i * place.column_stride, source[i]);
    } else if (place.column_stride == 1) {
      for (; i + W <= place.columns; i += W) {
        const Tile<T> tile = transposed(Tile<T>::from(source + i));
#pragma clang loop unroll(full)
        for (int j = 0; j < W; ++j) {
          if (j < place.channels) store<T>(line + j * place.channel + i, tile.rows[j]);
        }
      }
    }
    for (; i < place.columns; ++i) {
      for (int j = 0; j < place.channels; ++j) {
        store_one<T>(line + j * place.channel + i * place.column_stride, source[i][j]);
      }
    }
  }
}

// Writes a block.
template <class T>
void unpack(const Vector<T> *block, const cscan_tensor &tensor, const Place &place) {
  with_elements<T>(tensor, [&](auto *base) { unpack_elements<T>(block, base, place); });
}

// Reads up to a vector of parameters, `stride` apart; missing lanes are zero.
template <class T>
CSCAN_INLINE Vector<T> gather(const T *parameter, int64_t stride, int channels, T scale = 1) {
  Vector<T> value{};
  for (int j = 0; j < channels; ++j) value[j] = parameter[j * stride] * scale;
  return value;
}

// Lane by lane sum of products. Four sums side by side keep the additions from waiting on each other.
template <class T>
CSCAN_INLINE Vector<T> dot(const Vector<T> *a, const Vector<T> *b, int64_t count) {
  Vector<T> sum0{}, sum1{}, sum2{}, sum3{};
  int64_t i = 0;
  for (; i + 4 <= count; i += 4) {
    sum0 += a[i] * b[i];
    sum1 += a[i + 1] * b[i + 1];
    sum2 += a[i + 2] * b[i + 2];
    sum3 += a[i + 3] * b[i + 3];
  }
  for (; i < count; ++i) sum0 += a[i] * b[i];
  return (sum0 + sum1) + (sum2 + sum3);
}

// The reverse of gather: writes the present lanes' sums, times `scale`, unless the target is absent.
template <class T>
CSCAN_INLINE void scatter(
    void *parameter, int64_t first, int64_t stride, const double *sums, int channels, double scale) {
  if (!parameter) return;
  T *target = static_cast<T *>(parameter) + first;
  for (int j = 0; j < channels; ++j) target[j * stride] = T(sums[j] * scale);
}

}  // namespace CSCAN_VARIANT
