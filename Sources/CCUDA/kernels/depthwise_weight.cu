// The gradients of a depthwise convolution's weight and bias, from x and from the gradient dz of conv(x) + bias: every
// block adds up its share of the pixels, `depthwise_weight_sum` the blocks, both in one order whatever the timing.
//
// WINDOW is the side of the window, STRIDE the step of `depthwise_weight_pixels`, which has ROWS of the window's rows in a
// block. COLUMNS are the pixels side by side of a thread of `depthwise_weight_strips` (stride 1). A thread has VECTOR
// neighbouring channels; threadIdx.x counts them within the block's channels.
#include "prelude.cuh"

#define TAPS (WINDOW * WINDOW)
#define RECORD (TAPS + 1)  // what is written for a channel: its weights, then its bias

struct DepthwiseWeight {
  const element *x, *dz;
  real *partial;                  // [blocks that share the pixels][channels][RECORD]
  long long strips;               // of depthwise_weight_strips: batch * down * across; else pixels of dz
  int height, width;              // of x
  int rows, columns;              // of dz
  int channels, tiles;            // tiles: blocks that share the channels
  int padding;
  int down, across, strip_rows;   // strips one below the other, strips side by side, rows of a strip
};

// Adds a row of COUNT sums over the block's threads with the same channels, and writes it from the record's place `at` on.
template <int COUNT>
DEVICE void add_over_block(
    real *shared, const DepthwiseWeight &d, int first, int at, const real (&sums)[COUNT][VECTOR]) {
  const int width = blockDim.x * VECTOR;
#pragma unroll
  for (int k = 0; k < COUNT; k++) {
#pragma unroll
    for (int v = 0; v < VECTOR; v++) {
      shared[(threadIdx.y * COUNT + k) * width + threadIdx.x * VECTOR + v] = sums[k][v];
    }
  }
  __syncthreads();
  const int thread = threadIdx.y * blockDim.x + threadIdx.x, threads = blockDim.x * blockDim.y;
  const long long block = blockIdx.x / d.tiles;
  for (int i = thread; i < COUNT * width; i += threads) {
    const int channel = first + i / COUNT, k = i % COUNT;
    if (channel >= d.channels) continue;
    real sum = 0;
    for (unsigned y = 0; y < blockDim.y; y++) sum += shared[(y * COUNT + k) * width + i / COUNT];
    d.partial[(block * d.channels + channel) * RECORD + at + k] = sum;
  }
  __syncthreads();
}

#ifdef COLUMNS
#define SPAN (COLUMNS + WINDOW - 1)

// A thread goes down a strip of x a row at a time, with the WINDOW rows of dz that the row meets.
KERNEL __launch_bounds__(256) depthwise_weight_strips(const DepthwiseWeight d) {
  SHARED_MEMORY(real, shared);
  const int first = blockIdx.x % d.tiles * blockDim.x * VECTOR, channel = first + threadIdx.x * VECTOR;
  const long long step_of_blocks = (long long)(gridDim.x / d.tiles) * blockDim.y;
  // Unrolled by the window's rows, the rows of dz need no moves; windows of many rows would not fit the instruction cache.
  constexpr int rows_at_once = WINDOW <= 5 ? WINDOW : 1;
  real sums[WINDOW][WINDOW][VECTOR] = {}, bias[1][VECTOR] = {};
  long long strip = (long long)(blockIdx.x / d.tiles) * blockDim.y + threadIdx.y;
  if (channel >= d.channels) strip = d.strips;
  for (; strip < d.strips; strip += step_of_blocks) {
    const int column = (int)(strip % d.across) * COLUMNS;
    const long long above = strip / d.across;
    const int row = (int)(above % d.down) * d.strip_rows;
    const long long image = above / d.down;
    const int rows = d.rows - row < d.strip_rows ? d.rows - row : d.strip_rows;
    unsigned inside = 0;
#pragma unroll
    for (int q = 0; q < SPAN; q++) {
      if (column - d.padding + q >= 0 && column - d.padding + q < d.width) inside |= 1u << q;
    }
    const element *source =
        d.x + ((image * d.height + row - d.padding) * d.width + column - d.padding) * d.channels + channel;
    const element *upstream = d.dz + ((image * d.rows + row) * d.columns + column) * d.channels + channel;
    const auto fetch = [&](Elements<VECTOR>(&line)[SPAN], Elements<VECTOR>(&meeting)[COLUMNS], int step) {
      const int y = row - d.padding + step;
      const unsigned present = y >= 0 && y < d.height ? inside : 0u;
#pragma unroll
      for (int q = 0; q < SPAN; q++) {
        line[q] = Elements<VECTOR>();
        if (present >> q & 1) line[q] = elements_at<VECTOR>(source + (long long)q * d.channels);
      }
#pragma unroll
      for (int p = 0; p < COLUMNS; p++) {
        meeting[p] = Elements<VECTOR>();
        if (step < rows && column + p < d.columns) {
          meeting[p] = elements_at<VECTOR>(upstream + (long long)p * d.channels);
        }
      }
      source += (long long)d.width * d.channels;
      upstream += (long long)d.columns * d.channels;
    };
    // Row ky of dz's window lies ky rows above that of the step.
    real dz[WINDOW][COLUMNS][VECTOR] = {};
    Elements<VECTOR> line[SPAN], meeting[COLUMNS];
    fetch(line, meeting, 0);
#pragma unroll rows_at_once
    for (int step = 0; step < rows + WINDOW - 1; step++) {
#pragma unroll
      for (int ky = WINDOW - 1; ky > 0; ky--) {
#pragma unroll
        for (int p = 0; p < COLUMNS; p++) {
#pragma unroll
          for (int v = 0; v < VECTOR; v++) dz[ky][p][v] = dz[ky - 1][p][v];
        }
      }
      real values[SPAN][VECTOR];
#pragma unroll
      for (int q = 0; q < SPAN; q++) unpack(values[q], line[q]);
#pragma unroll
      for (int p = 0; p < COLUMNS; p++) {
        unpack(dz[0][p], meeting[p]);
#pragma unroll
        for (int v = 0; v < VECTOR; v++) bias[0][v] += dz[0][p][v];
      }
      if (step + 1 < rows + WINDOW - 1) fetch(line, meeting, step + 1);
#pragma unroll
      for (int ky = 0; ky < WINDOW; ky++) {
#pragma unroll
        for (int kx = 0; kx < WINDOW; kx++) {
#pragma unroll
          for (int v = 0; v < VECTOR; v++) {
#pragma unroll
            for (int p = 0; p < COLUMNS; p++) sums[ky][kx][v] += values[p + kx][v] * dz[ky][p][v];
          }
        }
      }
    }
  }
#pragma unroll
  for (int ky = 0; ky < WINDOW; ky++) add_over_block(shared, d, first, ky * WINDOW, sums[ky]);
  add_over_block(shared, d, first, TAPS, bias);
}
#endif

#ifdef STRIDE
// A thread has one pixel of dz after the other; blockIdx.y counts groups of ROWS of the window's rows.
KERNEL __launch_bounds__(256) depthwise_weight_pixels(const DepthwiseWeight d) {
  SHARED_MEMORY(real, shared);
  const int first = blockIdx.x % d.tiles * blockDim.x * VECTOR, channel = first + threadIdx.x * VECTOR;
  const int from = blockIdx.y * ROWS;
  const long long step = (long long)(gridDim.x / d.tiles) * blockDim.y;
  real sums[ROWS][WINDOW][VECTOR] = {}, bias[1][VECTOR] = {};
  long long pixel = (long long)(blockIdx.x / d.tiles) * blockDim.y + threadIdx.y;
  if (channel >= d.channels) pixel = d.strips;
  for (; pixel < d.strips; pixel += step) {
    const int left = (int)(pixel % d.columns) * STRIDE - d.padding;
    const int top = (int)(pixel / d.columns % d.rows) * STRIDE - d.padding + from;
    const long long image = pixel / d.columns / d.rows;
    const element *source = d.x + ((image * d.height + top) * d.width + left) * d.channels + channel;
    real dz[VECTOR];
    unpack(dz, elements_at<VECTOR>(d.dz + pixel * d.channels + channel));
#pragma unroll
    for (int v = 0; v < VECTOR; v++) bias[0][v] += dz[v];
#pragma unroll
    for (int ky = 0; ky < ROWS; ky++) {
      Elements<VECTOR> line[WINDOW];
#pragma unroll
      for (int kx = 0; kx < WINDOW; kx++) {
        const bool inside = from + ky < WINDOW && top + ky >= 0 && top + ky < d.height && left + kx >= 0 && left + kx < d.width;
        line[kx] = Elements<VECTOR>();
        if (inside) line[kx] = elements_at<VECTOR>(source + ((long long)ky * d.width + kx) * d.channels);
      }
#pragma unroll
      for (int kx = 0; kx < WINDOW; kx++) {
        real values[VECTOR];
        unpack(values, line[kx]);
#pragma unroll
        for (int v = 0; v < VECTOR; v++) sums[ky][kx][v] += values[v] * dz[v];
      }
    }
  }
#pragma unroll
  for (int ky = 0; ky < ROWS; ky++) {
    if (from + ky < WINDOW) add_over_block(shared, d, first, (from + ky) * WINDOW, sums[ky]);
  }
  if (from == 0) add_over_block(shared, d, first, TAPS, bias);
}
#endif

// The blocks' partial sums, added: weight [C, TAPS], then bias [C].
KERNEL __launch_bounds__(512) depthwise_weight_sum(
    const real *__restrict__ partial, real *__restrict__ gradient, int blocks, int channels) {
  __shared__ double shared[64][8];
  const long long count = (long long)channels * RECORD, at = (long long)blockIdx.x * 8 + threadIdx.x;
  const real sum = sum_column(shared, partial, blocks, count, at);
  if (threadIdx.y > 0 || at >= count) return;
  const long long channel = at / RECORD;
  const int tap = (int)(at % RECORD);
  gradient[tap < TAPS ? channel * TAPS + tap : (long long)channels * TAPS + channel] = sum;
}
