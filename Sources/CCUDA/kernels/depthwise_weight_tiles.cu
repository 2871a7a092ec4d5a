// The gradients of a depthwise convolution's weight and bias at stride 1 by tensor cores, as depthwise_weight.cu, whose
// `depthwise_weight_sum` adds the blocks' results. ELEMENT is half or bfloat16.
//
// The gradient of the weight at (ky, kx) is the sum of x (r, c + kx) dz (r - ky, c) over the map. For 8 columns of dz and
// the 16 columns of x under their windows, the sum over r is a product of 16 x 8 by 8 x 8 pixels, the inner index being 8
// rows; of its 16 x 8 results those on the diagonal kx below the main one belong to kx. The results stay in registers
// through the whole map, and diagonals are added at the end. The inner index has the rows q and q + 4 side by side.
//
// A warp has 8 channels, KEYS of the window's rows, and every SPLIT-th tile of 8 columns; a block has GROUPS groups of 8
// channels, PARTS parts of the window and TILES tiles. Rows of x and dz pass through rings in shared memory.
#include "prelude.cuh"

#define TAPS (WINDOW * WINDOW)
#define RECORD (TAPS + 1)                     // what is written for a channel: its weights, then its bias
#define KEYS ((WINDOW + PARTS - 1) / PARTS)
#define ACROSS (8 * TILES)                    // columns of dz in a block
#define SPAN (ACROSS + 8)                     // columns of x under them
#define X_PITCH (SPAN + 2)                    // two neighbours in each of four rows lie in different banks
#define DZ_PITCH (ACROSS + 2)
#define X_RING 16
#define DZ_RING 24
#define WARPS (GROUPS * PARTS * SPLIT)

struct DepthwiseWeight {
  const element *x, *dz;
  real *partial;                  // [blocks that share the pixels][channels][RECORD]
  long long strips;               // batch * down * across
  int height, width;              // of x
  int rows, columns;              // of dz, at most those of x
  int channels, tiles;            // tiles: blocks that share the channels
  int padding;
  int down, across, strip_rows;   // strips one below the other, strips side by side, rows of a strip
};

DEVICE unsigned part(const uint4 &words, int i) { return i == 0 ? words.x : i == 1 ? words.y : i == 2 ? words.z : words.w; }
// Channel c of 8, of two pixels side by side.
DEVICE unsigned beside(const uint4 &first, const uint4 &second, int c) {
  return c % 2 ? upper_halves(part(first, c / 2), part(second, c / 2)) : lower_halves(part(first, c / 2), part(second, c / 2));
}

// Rows `from` to `to` of a ring; row 0 is the map's row `top`, column 0 its column `left`. Outside the map there are zeros.
template <int LENGTH, int STEP, int COUNT>
DEVICE void load_rows(
    uint4 *ring, const element *map, int height, int width, int channels, int first, int top, int left, int from, int to) {
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  for (int i = from + warp; i < to; i += WARPS) {
    const int y = top + i;
    const element *source = map + ((long long)y * width + left) * channels + first;
    for (int chunk = lane; chunk < COUNT * GROUPS; chunk += 32) {
      const int x = chunk / GROUPS, own = chunk % GROUPS;
      uint4 *target = ring + (own * LENGTH + i % LENGTH) * STEP + x;
      if (y >= 0 && y < height && left + x >= 0 && left + x < width && first + own * 8 < channels) {
        copy_async_16(target, source + (long long)x * channels + own * 8);
      } else {
        *target = make_uint4(0, 0, 0, 0);
      }
    }
  }
}

KERNEL __launch_bounds__(WARPS * 32) depthwise_weight_tiles(const DepthwiseWeight d) {
  SHARED_MEMORY(uint4, lines);                            // [GROUPS][X_RING][X_PITCH] of 8 channels
  uint4 *upstream = lines + GROUPS * X_RING * X_PITCH;    // [GROUPS][DZ_RING][DZ_PITCH] of 8 channels
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, q = lane % 4;
  const int group = warp % GROUPS, key = warp / GROUPS % PARTS * KEYS, split = warp / (GROUPS * PARTS);
  const int first = blockIdx.x % d.tiles * GROUPS * 8;
  float sums[KEYS][8][4] = {}, bias[8] = {};

  for (long long strip = blockIdx.x / d.tiles; strip < d.strips; strip += gridDim.x / d.tiles) {
    const int column = (int)(strip % d.across) * ACROSS;
    const int row = (int)(strip / d.across % d.down) * d.strip_rows;
    const long long image = strip / d.across / d.down;
    const int end = d.height - row < d.strip_rows ? d.height : row + d.strip_rows;
    const element *x = d.x + image * d.height * d.width * d.channels;
    const element *dz = d.dz + image * d.rows * d.columns * d.channels;
    const auto load_step = [&](int step) {
      load_rows<X_RING, X_PITCH, SPAN>(
          lines, x, end, d.width, d.channels, first, row, column - d.padding, 8 * step, 8 * step + 8);
      load_rows<DZ_RING, DZ_PITCH, ACROSS>(
          upstream, dz, d.rows, d.columns, d.channels, first, row + d.padding - (WINDOW - 1), column,
          step == 0 ? 0 : 8 * step + WINDOW - 1, 8 * step + 8 + WINDOW - 1);
      copy_async_commit();
    };
    const int steps = (end - row + 7) / 8;
    __syncthreads();
    load_step(0);
    for (int step = 0; step < steps; step++) {
      copy_async_wait<0>();
      __syncthreads();
      if (step + 1 < steps) load_step(step + 1);
#pragma unroll 1
      for (int tile = split; tile < TILES; tile += SPLIT) {
        const uint4 *line = lines + (group * X_RING + step % 2 * 8 + q) * X_PITCH + tile * 8 + g;
        const uint4 near = line[0], near_below = line[4 * X_PITCH], far = line[8], far_below = line[4 * X_PITCH + 8];
        unsigned left[8], right[8];
#pragma unroll
        for (int c = 0; c < 8; c++) left[c] = beside(near, near_below, c), right[c] = beside(far, far_below, c);
#pragma unroll
        for (int k = 0; k < KEYS; k++) {
          if (key + k >= WINDOW) continue;
          const int at = 8 * step + q + WINDOW - 1 - (key + k);
          const uint4 *meeting = upstream + group * DZ_RING * DZ_PITCH + tile * 8 + g;
          const uint4 dz0 = meeting[at % DZ_RING * DZ_PITCH], dz4 = meeting[(at + 4) % DZ_RING * DZ_PITCH];
#pragma unroll
          for (int c = 0; c < 8; c++) {
            const unsigned both = beside(dz0, dz4, c);
            multiply_16x8x8(sums[k][c], left[c], right[c], both);
            if (key + k == d.padding) {
              const real_pair pair = unpack(both);
              bias[c] += pair.x + pair.y;
            }
          }
        }
      }
    }
  }

  // [WARPS][8][16][8]: the results of a row of the window, to add the diagonals.
  float *shared = (float *)lines, *own = shared + warp * 1024;
  const long long block = blockIdx.x / d.tiles;
#pragma unroll
  for (int k = 0; k < KEYS; k++) {
    __syncthreads();
#pragma unroll
    for (int c = 0; c < 8; c++) {
      float *at = own + c * 128 + g * 8 + 2 * q;
      at[0] = sums[k][c][0], at[1] = sums[k][c][1], at[64] = sums[k][c][2], at[65] = sums[k][c][3];
    }
    __syncthreads();
    if (split > 0 || key + k >= WINDOW) continue;
    for (int i = lane; i < 8 * WINDOW; i += 32) {
      const int c = i / WINDOW, kx = i % WINDOW, channel = first + group * 8 + c;
      if (channel >= d.channels) continue;
      float sum = 0;
      for (int other = 0; other < SPLIT; other++) {
        for (int n = 0; n < 8; n++) sum += own[other * GROUPS * PARTS * 1024 + c * 128 + (n + kx) * 8 + n];
      }
      d.partial[(block * d.channels + channel) * RECORD + (key + k) * WINDOW + kx] = sum;
    }
  }
  __syncthreads();
#pragma unroll
  for (int c = 0; c < 8; c++) {
    float sum = bias[c];
#pragma unroll
    for (int by = 16; by > 0; by /= 2) sum += __shfl_xor_sync(~0u, sum, by);
    if (lane == 0) own[c] = sum;
  }
  __syncthreads();
  const int channel = first + group * 8 + lane;
  if (split > 0 || lane >= 8 || channel >= d.channels || d.padding < key || d.padding >= key + KEYS) return;
  float sum = 0;
  for (int other = 0; other < SPLIT; other++) sum += own[other * GROUPS * PARTS * 1024 + lane];
  d.partial[(block * d.channels + channel) * RECORD + TAPS] = sum;
}
