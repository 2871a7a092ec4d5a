// Depthwise convolutions at stride 1 by tensor cores: activation(conv(x) + bias) or dy activation'(conv(x) + bias), as
// depthwise.cu. ELEMENT is half or bfloat16, and the weights are rounded to it.
//
// A row of the window is a band matrix: 16 neighbouring pixels of a row of x give WIDE = 17 - WINDOW pixels of a row of the
// result. So a row of x, times the WINDOW band matrices, adds to WINDOW rows of the result; the matrices' other side is
// that the same is done for 8 rows of different strips of the batch at once. A strip is some rows of an image; all go down
// in step. In the products' inner index the columns q and q + 4 of x are neighbours.
//
// A block has 32 channels of WIDE columns of 8 strips, a warp four channels. Rows of x pass through shared memory, STAGES
// pairs of rows being under way.
#include "prelude.cuh"

#define TAPS (WINDOW * WINDOW)
#define WIDE (17 - WINDOW)
#define STAGES 4
#define PITCH 20                                        // of a strip: 4 neighbours of 4 strips lie in different banks
#define LINE (4 * 8 * PITCH)                            // a row of 8 strips, [4][8][PITCH] of 8 channels
#define RESULT_PITCH (4 * WIDE + (WIDE % 2 ? 6 : 2))    // of a strip in a row of results, [8][4][WIDE] of 8 channels
#define RESULT_LINE (8 * RESULT_PITCH)
#define BAND 20                                         // diagonals of a band matrix: -7 to 12
#define HELD (WINDOW > 1 ? WINDOW - 1 : 1)

struct Depthwise {
  const element *x;
  const real *weight, *bias;       // [C, TAPS], [C] or null
  const element *dy;               // with GRADIENT
  element *y;
  long long strips;                // batch * down
  int height, width;               // of x
  int rows, columns;               // of y
  int channels, tiles;             // tiles: blocks that share the channels
  int padding;
  int down, across, strip_rows;    // strips one below the other, blocks side by side, rows of a strip
  int flipped, adds_input;
};

DEVICE real tap(const Depthwise &d, int channel, int ky, int kx) {
  if (channel >= d.channels || kx < 0 || kx >= WINDOW) return 0;
  const int at = ky * WINDOW + kx;
  return d.weight[(long long)channel * TAPS + (d.flipped ? TAPS - 1 - at : at)];
}

// A strip as the threads that load and store its pixels see it.
struct Strip {
  const element *x;    // the pixel of this thread in the strip's first row under the window
  long long y;         // and in its first row of the result
  int first, last;     // the rows of x that are inside the map
  int rows;            // of the result
};

KERNEL __launch_bounds__(256, WINDOW <= 3 ? 2 : 1) depthwise_tiles(const Depthwise d) {
  SHARED_MEMORY(uint4, lines);                          // [STAGES][2][LINE]
  uint4 *results = lines + STAGES * 2 * LINE;           // [2][RESULT_LINE]
#if GRADIENT
  uint4 *upstream = results + 2 * RESULT_LINE;          // [STAGES][2][RESULT_LINE]
#endif
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, q = lane % 4;
  const int first = blockIdx.x % d.tiles * 32, column = blockIdx.x / d.tiles % d.across * WIDE;
  const long long strips = blockIdx.x / d.tiles / d.across * 8;

  // On diagonal i of a row of the window: the weights i and i + 4, neighbours in the products' inner index.
  unsigned *bands = (unsigned *)lines;  // [WINDOW][BAND][32]
  for (int i = threadIdx.x; i < WINDOW * BAND * 32; i += 256) {
    const int ky = i / (BAND * 32), kx = i / 32 % BAND - 7;
    bands[i] = pack(tap(d, first + i % 32, ky, kx), tap(d, first + i % 32, ky, kx + 4));
  }
  __syncthreads();
  unsigned near_band[WINDOW][4], far_band[WINDOW][4];
  float bias[4];
#pragma unroll
  for (int c = 0; c < 4; c++) {
    const int channel = first + warp * 4 + c;
#pragma unroll
    for (int ky = 0; ky < WINDOW; ky++) {
      near_band[ky][c] = bands[(ky * BAND + q - g + 7) * 32 + warp * 4 + c];
      far_band[ky][c] = bands[(ky * BAND + q - g + 15) * 32 + warp * 4 + c];
    }
    bias[c] = d.bias && channel < d.channels ? d.bias[channel] : 0.f;
  }
  // The band matrix of a single one above the pixel itself, for the input that is added.
  const int along = d.padding - (q - g);
  const unsigned near_itself = pack(along == 0 ? 1.f : 0.f, along == 4 ? 1.f : 0.f);
  const unsigned far_itself = pack(along == 8 ? 1.f : 0.f, along == 12 ? 1.f : 0.f);
  __syncthreads();

  // A thread loads and stores 8 channels of one column of two strips.
  const int own_group = threadIdx.x % 4, own_column = threadIdx.x / 4 % 16, own_strip = threadIdx.x / 64;
  const int at = column - d.padding + own_column;
  const bool has_channels = first + own_group * 8 < d.channels, loads = has_channels && at >= 0 && at < d.width;
  const bool stores = has_channels && own_column < WIDE && column + own_column < d.columns;
  Strip own[2];
#pragma unroll
  for (int i = 0; i < 2; i++) {
    const long long strip = strips + own_strip + 4 * i, image = strip / d.down;
    const int row = (int)(strip % d.down) * d.strip_rows;
    own[i].rows = strip >= d.strips ? 0 : d.rows - row < d.strip_rows ? d.rows - row : d.strip_rows;
    const int above = row - d.padding, rest = d.height - above, needed = own[i].rows + WINDOW - 1;
    own[i].first = above < 0 ? -above : 0;
    own[i].last = !loads || own[i].rows == 0 ? 0 : rest < needed ? rest : needed;
    own[i].x = d.x + ((image * d.height + above) * d.width + at) * d.channels + first + own_group * 8;
    own[i].y = ((image * d.rows + row) * d.columns + column + own_column) * d.channels + first + own_group * 8;
    if (!stores) own[i].rows = 0;
  }
  const long long x_step = (long long)d.width * d.channels, y_step = (long long)d.columns * d.channels;
  const int own_line = (own_group * 8 + own_strip) * PITCH + own_column;
  const int own_result = own_strip * RESULT_PITCH + own_group * WIDE + own_column;
  const auto load_stage = [&](int stage) {
#pragma unroll
    for (int r = 0; r < 2; r++) {
      const int row = 2 * stage + r, slot = row % (2 * STAGES);
#pragma unroll
      for (int i = 0; i < 2; i++) {
        copy_async_16(
            lines + slot * LINE + own_line + 4 * i * PITCH, own[i].x + row * x_step,
            row >= own[i].first && row < own[i].last);
#if GRADIENT
        const int result = row - (WINDOW - 1);
        if (result >= 0 && result < own[i].rows) {
          copy_async_16(
              upstream + slot * RESULT_LINE + own_result + 4 * i * RESULT_PITCH, d.dy + own[i].y + result * y_step);
        }
#endif
      }
    }
    copy_async_commit();
  };

  float nothing[4] = {};
  float sums[HELD][4][4] = {};
  const int stages = (d.strip_rows + WINDOW) / 2;
  for (int stage = 0; stage < STAGES - 1; stage++) load_stage(stage);
  for (int stage = 0; stage < stages; stage++) {
    copy_async_wait<STAGES - 2>();
    __syncthreads();
    load_stage(stage + STAGES - 1);
#pragma unroll
    for (int r = 0; r < 2; r++) {
      const int slot = stage % STAGES * 2 + r;
      const uint2 *line = (const uint2 *)(lines + slot * LINE + (warp / 2 * 8 + g) * PITCH + q) + warp % 2;
      const uint2 x0 = line[0], x4 = line[8], x8 = line[16], x12 = line[24];
      float complete[4][4];
#pragma unroll
      for (int c = 0; c < 4; c++) {
        const unsigned w0 = c / 2 ? x0.y : x0.x, w4 = c / 2 ? x4.y : x4.x, w8 = c / 2 ? x8.y : x8.x,
                       w12 = c / 2 ? x12.y : x12.x;
        const unsigned near = c % 2 ? upper_halves(w0, w4) : lower_halves(w0, w4);
        const unsigned far = c % 2 ? upper_halves(w8, w12) : lower_halves(w8, w12);
        // The rows of sums move up by one; the one that is complete with this row of x leaves.
#pragma unroll
        for (int j = 0; j < WINDOW; j++) {
          const int ky = WINDOW - 1 - j;
          float(&to)[4] = j == 0 ? complete[c] : sums[j > 0 ? j - 1 : 0][c];
          const float(&from)[4] = j == WINDOW - 1 ? nothing : sums[j < HELD ? j : 0][c];
          multiply_16x8x16(to, from, near_band[ky][c], 0u, far_band[ky][c], near_band[ky][c], near, far);
          if (d.adds_input && ky == d.padding) {
            multiply_16x8x16(to, near_itself, 0u, far_itself, near_itself, near, far);
          }
        }
      }
      if (2 * stage + r < WINDOW - 1) continue;
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const int strip = 2 * q + i % 2, x = g + i / 2 * 8;
        if (x >= WIDE) continue;
        const int place = strip * RESULT_PITCH + warp / 2 * WIDE + x;
        real values[4];
#if GRADIENT
        const uint2 dy = *((const uint2 *)(upstream + slot * RESULT_LINE + place) + warp % 2);
        const real_pair low = unpack(dy.x), high = unpack(dy.y);
        const real gradients[4] = {low.x, low.y, high.x, high.y};
#endif
#pragma unroll
        for (int c = 0; c < 4; c++) {
#if GRADIENT
          values[c] = gradients[c] * activation_slope(complete[c][i] + bias[c]);
#else
          values[c] = activated(complete[c][i] + bias[c]);
#endif
        }
        *((uint2 *)(results + r * RESULT_LINE + place) + warp % 2) =
            make_uint2(pack(values[0], values[1]), pack(values[2], values[3]));
      }
    }
    __syncthreads();
#pragma unroll
    for (int r = 0; r < 2; r++) {
      const int row = 2 * stage + r - (WINDOW - 1);
#pragma unroll
      for (int i = 0; i < 2; i++) {
        if (row < 0 || row >= own[i].rows) continue;
        *(uint4 *)(d.y + own[i].y + row * y_step) = results[r * RESULT_LINE + own_result + 4 * i * RESULT_PITCH];
      }
    }
  }
}
