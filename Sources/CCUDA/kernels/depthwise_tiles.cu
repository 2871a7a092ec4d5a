// Depthwise convolutions at stride 1 by tensor cores: activation(conv(x) + bias) or dy activation'(conv(x) + bias), as
// depthwise.cu. ELEMENT is half or bfloat16, and the weights are rounded to it.
//
// A row of the window is a band matrix: 16 neighbouring pixels of x give 17 - WINDOW pixels of the result, so a channel's
// tile of that many columns by 8 rows is the sum of WINDOW products of 16 x 16 band matrices with 16 x 8 pixels of x, the
// columns of which are the rows of the map. In the products' inner index the columns q and q + 4 of x are neighbours.
//
// A warp has 8 channels of a tile and goes down the map 8 rows at a time; a block has TILES tiles side by side of GROUPS
// groups of 8 channels. The rows of x pass through a ring of RING rows in shared memory, DEPTH steps ahead of their use.
#include "prelude.cuh"

#define TAPS (WINDOW * WINDOW)
#define WIDE (17 - WINDOW)                    // columns of a tile
#define ACROSS (TILES * WIDE)                 // columns of a block
#define SPAN (ACROSS + WINDOW - 1)            // columns of x under them
#define PITCH ((SPAN + 3) / 8 * 8 + 4)        // two rows of four neighbours lie in different banks
#define RING (8 * (DEPTH + 2))
#define WARPS (TILES * GROUPS)
#define BAND 20                               // diagonals of a band matrix: -7 to 12

struct Depthwise {
  const element *x;
  const real *weight, *bias;       // [C, TAPS], [C] or null
  const element *dy;               // with GRADIENT
  element *y;
  long long strips;                // batch * down * across
  int height, width;               // of x
  int rows, columns;               // of y
  int channels, tiles;             // tiles: blocks that share the channels
  int padding;
  int down, across, strip_rows;    // strips one below the other, strips side by side, rows of a strip
  int flipped, adds_input;
};

DEVICE real tap(const Depthwise &d, int channel, int ky, int kx) {
  if (channel >= d.channels || kx < 0 || kx >= WINDOW) return 0;
  const int at = ky * WINDOW + kx;
  return d.weight[(long long)channel * TAPS + (d.flipped ? TAPS - 1 - at : at)];
}

DEVICE unsigned part(const uint4 &words, int i) { return i == 0 ? words.x : i == 1 ? words.y : i == 2 ? words.z : words.w; }

KERNEL __launch_bounds__(WARPS * 32, 2) depthwise_tiles(const Depthwise d) {
  SHARED_MEMORY(uint4, lines);                              // [GROUPS][RING][PITCH] of 8 channels
  uint4 *results = lines + GROUPS * RING * PITCH;           // [8][ACROSS][GROUPS] of 8 channels
  uint4 *bands = results + 8 * ACROSS * GROUPS;             // [GROUPS][WINDOW][BAND] of 8 channels
  real *bias = (real *)(bands + 2 * GROUPS * WINDOW * BAND);  // [GROUPS][8]
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, q = lane % 4;
  const int tile = warp % TILES, group = warp / TILES;
  const int first = blockIdx.x % d.tiles * GROUPS * 8;

  // On diagonal i: the weights i and i + 4, neighbours in the products' inner index.
  for (int i = threadIdx.x; i < GROUPS * WINDOW * BAND * 8; i += WARPS * 32) {
    const int channel = first + i / (WINDOW * BAND * 8) * 8 + i % 8;
    const int ky = i / (BAND * 8) % WINDOW, kx = i / 8 % BAND - 7;
    ((unsigned *)bands)[i] = pack(tap(d, channel, ky, kx), tap(d, channel, ky, kx + 4));
  }
  for (int i = threadIdx.x; i < GROUPS * 8; i += WARPS * 32) {
    bias[i] = d.bias && first + i < d.channels ? d.bias[first + i] : real(0);
  }
  const int along = d.padding - (q - g);  // from the diagonal of this thread to that of the pixel itself
  const unsigned itself = pack(along == 0 ? 1.f : 0.f, along == 4 ? 1.f : 0.f);
  const unsigned itself_above = pack(along == 8 ? 1.f : 0.f, along == 12 ? 1.f : 0.f);

  for (long long strip = blockIdx.x / d.tiles; strip < d.strips; strip += gridDim.x / d.tiles) {
    const int column = (int)(strip % d.across) * ACROSS;
    const int row = (int)(strip / d.across % d.down) * d.strip_rows;
    const long long image = strip / d.across / d.down;
    const int rows = d.rows - row < d.strip_rows ? d.rows - row : d.strip_rows;
    const auto load_rows = [&](int from, int to) {
      for (int i = from + warp; i < to; i += WARPS) {
        const int y = row - d.padding + i;
        const element *source =
            d.x + ((image * d.height + y) * d.width + column - d.padding) * d.channels + first;
        for (int chunk = lane; chunk < SPAN * GROUPS; chunk += 32) {
          const int x = chunk / GROUPS, own = chunk % GROUPS, at = column - d.padding + x;
          uint4 *target = lines + (own * RING + i % RING) * PITCH + x;
          if (y >= 0 && y < d.height && at >= 0 && at < d.width && first + own * 8 < d.channels) {
            copy_async_16(target, source + (long long)x * d.channels + own * 8);
          } else {
            *target = make_uint4(0, 0, 0, 0);
          }
        }
      }
      copy_async_commit();
    };

    const int last = rows + WINDOW - 1;
    __syncthreads();
    load_rows(0, 8 + WINDOW - 1);
    for (int ahead = 1; ahead < DEPTH; ahead++) {
      const int from = 8 * ahead + WINDOW - 1;
      load_rows(from, from + 8 < last ? from + 8 : last);
    }
    for (int above = 0; above < rows; above += 8) {
      copy_async_wait<DEPTH - 1>();
      __syncthreads();
      const int next = above + 8 * DEPTH + WINDOW - 1;
      load_rows(next, next + 8 < last ? next + 8 : last);

#if GRADIENT
      uint4 upstream[4];
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const int y = above + 2 * q + i % 2, x = column + tile * WIDE + g + i / 2 * 8, channel = first + group * 8;
        upstream[i] = make_uint4(0, 0, 0, 0);
        if (y < rows && x < d.columns && channel < d.channels) {
          upstream[i] =
              *(const uint4 *)(d.dy + ((image * d.rows + row + y) * d.columns + x) * d.channels + channel);
        }
      }
#endif
      float sums[8][4];
#pragma unroll
      for (int c = 0; c < 8; c++) {
#pragma unroll
        for (int i = 0; i < 4; i++) sums[c][i] = bias[group * 8 + c];
      }
#pragma unroll
      for (int ky = 0; ky < WINDOW; ky++) {
        const uint4 *line = lines + (group * RING + (above + g + ky) % RING) * PITCH + tile * WIDE + q;
        const uint4 x0 = line[0], x4 = line[4], x8 = line[8], x12 = line[12];
        const uint4 *band = bands + 2 * ((group * WINDOW + ky) * BAND + q - g + 7);
#pragma unroll
        for (int c = 0; c < 8; c++) {
          const unsigned below = part(band[c / 4], c % 4), above_it = part(band[16 + c / 4], c % 4);
          const unsigned near = c % 2 ? upper_halves(part(x0, c / 2), part(x4, c / 2))
                                      : lower_halves(part(x0, c / 2), part(x4, c / 2));
          const unsigned far = c % 2 ? upper_halves(part(x8, c / 2), part(x12, c / 2))
                                     : lower_halves(part(x8, c / 2), part(x12, c / 2));
          multiply_16x8x16(sums[c], below, 0u, above_it, below, near, far);
          if (d.adds_input && ky == d.padding) multiply_16x8x16(sums[c], itself, 0u, itself_above, itself, near, far);
        }
      }
#pragma unroll
      for (int i = 0; i < 4; i++) {
        real values[8];
#if GRADIENT
        const unsigned dy[4] = {upstream[i].x, upstream[i].y, upstream[i].z, upstream[i].w};
#endif
#pragma unroll
        for (int c = 0; c < 8; c++) {
          const real z = sums[c][i / 2 * 2 + i % 2];
#if GRADIENT
          const real_pair pair = unpack(dy[c / 2]);
          values[c] = (c % 2 ? pair.y : pair.x) * activation_slope(z);
#else
          values[c] = activated(z);
#endif
        }
        const int x = g + i / 2 * 8;
        if (x < WIDE) {
          results[((2 * q + i % 2) * ACROSS + tile * WIDE + x) * GROUPS + group] =
              make_uint4(pack(values[0], values[1]), pack(values[2], values[3]), pack(values[4], values[5]), pack(values[6], values[7]));
        }
      }
      __syncthreads();
      for (int y = warp; y < 8 && above + y < rows; y += WARPS) {
        element *target =
            d.y + ((image * d.rows + row + above + y) * d.columns + column) * d.channels + first;
        for (int chunk = lane; chunk < ACROSS * GROUPS; chunk += 32) {
          const int x = chunk / GROUPS, own = chunk % GROUPS;
          if (column + x < d.columns && first + own * 8 < d.channels) {
            *(uint4 *)(target + (long long)x * d.channels + own * 8) = results[y * ACROSS * GROUPS + chunk];
          }
        }
      }
    }
  }
}
