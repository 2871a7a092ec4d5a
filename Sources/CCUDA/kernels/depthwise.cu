// Depthwise convolutions of maps [B, H, W, C], zero-padded: activation(conv(x) + bias), and the gradients of x and of the
// activation's argument. A thread has VECTOR neighbouring channels; threadIdx.x counts them within the block's channels.
//
// WINDOW is the side of the window, STRIDE the step of `depthwise_pixels` and `depthwise_spread`, COLUMNS the pixels side
// by side of a thread of `depthwise_strips`. ACTIVATION is that of cmap.h. With GRADIENT the result is not activation(z),
// z = conv(x) + bias, but dy activation'(z).
#include "prelude.cuh"

#define TAPS (WINDOW * WINDOW)

struct Depthwise {
  const element *x;
  const real *weight, *bias;  // [C, TAPS], [C] or null
  const element *dy;               // with GRADIENT
  element *y;
  long long strips;                // of depthwise_strips: batch * down * across; else pixels of y
  int height, width;               // of x
  int rows, columns;               // of y
  int channels, tiles;             // tiles: blocks that share the channels
  int padding;
  int down, across, strip_rows;    // strips one below the other, strips side by side, rows of a strip
  int flipped, adds_input;
};

// ---- what the kernels share

// The weights of the block's channels as [TAPS][channels of the block], then their biases.
DEVICE void stage_weights(real *taps, const Depthwise &d, int first, int width) {
  const int thread = threadIdx.y * blockDim.x + threadIdx.x, threads = blockDim.x * blockDim.y;
  const int present = d.channels - first < width ? d.channels - first : width;
  for (int i = thread; i < present * TAPS; i += threads) {
    const int channel = i / TAPS;
    const int tap = d.flipped ? TAPS - 1 - i % TAPS : i % TAPS;
    real value = d.weight[(long long)first * TAPS + i];
    // The input that is added is one more at the tap above it.
    if (d.adds_input && tap == d.padding * (WINDOW + 1)) value += real(1);
    taps[tap * width + channel] = value;
  }
  for (int i = thread; i < present; i += threads) {
    taps[TAPS * width + i] = d.bias ? d.bias[first + i] : real(0);
  }
  __syncthreads();
}

DEVICE void finish(const Depthwise &d, long long at, real (&sum)[VECTOR], const Elements<VECTOR> &upstream) {
#if GRADIENT
  real dy[VECTOR];
  unpack(dy, upstream);
#pragma unroll
  for (int v = 0; v < VECTOR; v++) sum[v] = dy[v] * activation_slope(sum[v]);
#else
#pragma unroll
  for (int v = 0; v < VECTOR; v++) sum[v] = activated(sum[v]);
#endif
  store(d.y + at, sum);
}

// ---- stride 1

#ifdef COLUMNS
#define SPAN (COLUMNS + WINDOW - 1)
#define RESIDENT (WINDOW <= 5 && ELEMENT != 3)
#define HELD (WINDOW > 1 ? WINDOW - 1 : 1)

// A thread goes down its strip a row of x at a time and adds each to the WINDOW rows of sums that it belongs to.
KERNEL __launch_bounds__(256) depthwise_strips(const Depthwise d) {
  SHARED_MEMORY(real, taps);
  const int width = blockDim.x * VECTOR, tile = blockIdx.x % d.tiles;
  stage_weights(taps, d, tile * width, width);
  const int lane = threadIdx.x * VECTOR, channel = tile * width + lane;
  const long long strip = (long long)(blockIdx.x / d.tiles) * blockDim.y + threadIdx.y;
  if (channel >= d.channels || strip >= d.strips) return;

  const int column = (int)(strip % d.across) * COLUMNS;
  const long long above = strip / d.across;
  const int row = (int)(above % d.down) * d.strip_rows;
  const long long image = above / d.down;
  const int rows = d.rows - row < d.strip_rows ? d.rows - row : d.strip_rows;

  real bias[VECTOR];
#pragma unroll
  for (int v = 0; v < VECTOR; v++) bias[v] = taps[TAPS * width + lane + v];
#if RESIDENT
  real weight[TAPS][VECTOR];
#pragma unroll
  for (int t = 0; t < TAPS; t++) {
#pragma unroll
    for (int v = 0; v < VECTOR; v++) weight[t][v] = taps[t * width + lane + v];
  }
#endif

  unsigned inside = 0;
#pragma unroll
  for (int q = 0; q < SPAN; q++) {
    if (column - d.padding + q >= 0 && column - d.padding + q < d.width) inside |= 1u << q;
  }
  const element *source =
      d.x + ((image * d.height + row - d.padding) * d.width + column - d.padding) * d.channels + channel;
  const auto fetch = [&](Elements<VECTOR>(&line)[SPAN], int y) {
    const unsigned present = y >= 0 && y < d.height ? inside : 0u;
#pragma unroll
    for (int q = 0; q < SPAN; q++) {
      line[q] = Elements<VECTOR>();
      if (present >> q & 1) line[q] = elements_at<VECTOR>(source + (long long)q * d.channels);
    }
    source += (long long)d.width * d.channels;
  };

  real sums[HELD][COLUMNS][VECTOR];
#pragma unroll
  for (int j = 0; j < HELD; j++) {
#pragma unroll
    for (int p = 0; p < COLUMNS; p++) {
#pragma unroll
      for (int v = 0; v < VECTOR; v++) sums[j][p][v] = bias[v];
    }
  }
  Elements<VECTOR> line[SPAN];
  fetch(line, row - d.padding);
  long long target = ((image * d.rows + row) * d.columns + column) * d.channels + channel;
  for (int step = 0; step < rows + WINDOW - 1; step++) {
    real values[SPAN][VECTOR];
#pragma unroll
    for (int q = 0; q < SPAN; q++) unpack(values[q], line[q]);
    if (step + 1 < rows + WINDOW - 1) fetch(line, row - d.padding + step + 1);
    Elements<VECTOR> upstream[COLUMNS];
#if GRADIENT
#pragma unroll
    for (int p = 0; p < COLUMNS; p++) {
      upstream[p] = Elements<VECTOR>();
      if (step >= WINDOW - 1 && column + p < d.columns) {
        upstream[p] = elements_at<VECTOR>(d.dy + target + (long long)p * d.channels);
      }
    }
#endif
    // The row of sums that is complete after this row of x leaves; the others move up by one.
    real complete[COLUMNS][VECTOR];
#pragma unroll
    for (int j = 0; j < WINDOW; j++) {
      real(&to)[COLUMNS][VECTOR] = j == 0 ? complete : sums[j > 0 ? j - 1 : 0];
#pragma unroll
      for (int p = 0; p < COLUMNS; p++) {
#pragma unroll
        for (int v = 0; v < VECTOR; v++) to[p][v] = j < WINDOW - 1 ? sums[j < HELD ? j : 0][p][v] : bias[v];
      }
#pragma unroll
      for (int kx = 0; kx < WINDOW; kx++) {
        const int tap = (WINDOW - 1 - j) * WINDOW + kx;
#pragma unroll
        for (int v = 0; v < VECTOR; v++) {
#if RESIDENT
          const real factor = weight[tap][v];
#else
          const real factor = taps[tap * width + lane + v];
#endif
#pragma unroll
          for (int p = 0; p < COLUMNS; p++) to[p][v] += values[p + kx][v] * factor;
        }
      }
    }
    if (step < WINDOW - 1) continue;
#pragma unroll
    for (int p = 0; p < COLUMNS; p++) {
      if (column + p < d.columns) finish(d, target + (long long)p * d.channels, complete[p], upstream[p]);
    }
    target += (long long)d.columns * d.channels;
  }
}
#endif

// ---- any stride

#ifdef STRIDE
// A thread has one pixel of y after the other.
KERNEL __launch_bounds__(256) depthwise_pixels(const Depthwise d) {
  SHARED_MEMORY(real, taps);
  const int width = blockDim.x * VECTOR, tile = blockIdx.x % d.tiles;
  stage_weights(taps, d, tile * width, width);
  const int lane = threadIdx.x * VECTOR, channel = tile * width + lane;
  if (channel >= d.channels) return;
  constexpr int rows_at_once = WINDOW <= 5 ? WINDOW : 1;
  const long long step = (long long)(gridDim.x / d.tiles) * blockDim.y;
  for (long long pixel = (long long)(blockIdx.x / d.tiles) * blockDim.y + threadIdx.y; pixel < d.strips; pixel += step) {
    const int left = (int)(pixel % d.columns) * STRIDE - d.padding;
    const int top = (int)(pixel / d.columns % d.rows) * STRIDE - d.padding;
    const long long image = pixel / d.columns / d.rows;
    const element *source = d.x + ((image * d.height + top) * d.width + left) * d.channels + channel;
    Elements<VECTOR> upstream = Elements<VECTOR>();
#if GRADIENT
    upstream = elements_at<VECTOR>(d.dy + pixel * d.channels + channel);
#endif
    real sum[VECTOR];
#pragma unroll
    for (int v = 0; v < VECTOR; v++) sum[v] = taps[TAPS * width + lane + v];
#pragma unroll rows_at_once
    for (int ky = 0; ky < WINDOW; ky++) {
      Elements<VECTOR> line[WINDOW];
#pragma unroll
      for (int kx = 0; kx < WINDOW; kx++) {
        const bool inside = top + ky >= 0 && top + ky < d.height && left + kx >= 0 && left + kx < d.width;
        line[kx] = Elements<VECTOR>();
        if (inside) line[kx] = elements_at<VECTOR>(source + ((long long)ky * d.width + kx) * d.channels);
      }
#pragma unroll
      for (int kx = 0; kx < WINDOW; kx++) {
        real values[VECTOR];
        unpack(values, line[kx]);
#pragma unroll
        for (int v = 0; v < VECTOR; v++) sum[v] += values[v] * taps[(ky * WINDOW + kx) * width + lane + v];
      }
    }
    finish(d, pixel * d.channels + channel, sum, upstream);
  }
}

// The gradient of x: here x of the struct is the gradient of the result, and y that of x. A thread has one pixel of y
// after the other, and each adds what the windows that cover it send back.
KERNEL __launch_bounds__(256) depthwise_spread(const Depthwise d) {
  SHARED_MEMORY(real, taps);
  const int width = blockDim.x * VECTOR, tile = blockIdx.x % d.tiles;
  stage_weights(taps, d, tile * width, width);
  const int lane = threadIdx.x * VECTOR, channel = tile * width + lane;
  if (channel >= d.channels) return;
  constexpr int meeting = (WINDOW + STRIDE - 1) / STRIDE;
  const long long step = (long long)(gridDim.x / d.tiles) * blockDim.y;
  for (long long pixel = (long long)(blockIdx.x / d.tiles) * blockDim.y + threadIdx.y; pixel < d.strips; pixel += step) {
    const int x = (int)(pixel % d.columns) + d.padding, y = (int)(pixel / d.columns % d.rows) + d.padding;
    const element *source = d.x + pixel / d.columns / d.rows * d.height * d.width * d.channels + channel;
    real sum[VECTOR] = {};
#pragma unroll
    for (int i = 0; i < meeting; i++) {
      const int ky = y % STRIDE + i * STRIDE, row = y / STRIDE - i;
#pragma unroll
      for (int j = 0; j < meeting; j++) {
        const int kx = x % STRIDE + j * STRIDE, column = x / STRIDE - j;
        if (ky >= WINDOW || kx >= WINDOW || row < 0 || row >= d.height || column < 0 || column >= d.width) continue;
        real values[VECTOR];
        unpack(values, elements_at<VECTOR>(source + ((long long)row * d.width + column) * d.channels));
#pragma unroll
        for (int v = 0; v < VECTOR; v++) sum[v] += values[v] * taps[(ky * WINDOW + kx) * width + lane + v];
      }
    }
    store(d.y + pixel * d.channels + channel, sum);
  }
}
#endif
