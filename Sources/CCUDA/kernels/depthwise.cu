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

// ---- activations

DEVICE float exp2_of(float x) { return fast_exp2(x); }
DEVICE float sigmoid_of_log2(float x) { return fast_reciprocal(1.f + fast_exp2(-x)); }
DEVICE double exp2_of(double x) { return exp2(x); }
DEVICE double sigmoid_of_log2(double x) { return 1. / (1. + exp2(-x)); }

// Phi(-a) for a >= 0, the normal distribution's tail: 2^(a p(a) - 1), p by minimax.
DEVICE double normal_tail(double a) { return 0.5 * erfc(a * 0.70710678118654752440); }
DEVICE float normal_tail(float a) {
#if ELEMENT == 2
  // Within 1.1e-4 of itself where a Phi(-a) is above 2^-15; falls on beyond.
  float p = a * -0.0003164359f + 0.0058049709f;
  p = p * a + -0.0482592423f;
  p = p * a + -0.4638472194f;
  p = p * a + -1.1495679219f;
#elif ELEMENT == 1
  // Within 7e-6 of itself where a Phi(-a) is above 2^-15.
  a = a < 6.f ? a : 6.f;
  float p = a * 3.183765393e-5f + -0.0007411177338f;
  p = p * a + 0.007910853435f;
  p = p * a + -0.05299567308f;
  p = p * a + -0.4592018887f;
  p = p * a + -1.151046914f;
#else
  // Weighted so that x Phi(x) is within 1.1e-7 of |x|.
  a = a < 9.f ? a : 9.f;
  float p = a * 1.664132440737376e-7f + -4.271333182259696e-6f;
  p = p * a + 4.215049193589948e-5f;
  p = p * a + -1.7712802218738943e-4f;
  p = p * a + -1.842627680161968e-4f;
  p = p * a + 7.1432520635426044e-3f;
  p = p * a + -5.2557963877916336e-2f;
  p = p * a + -4.5918723940849304e-1f;
  p = p * a + -1.1511074304580688f;
#endif
  return fast_exp2(p * a - 1.f);
}

#define LOG2_E real(1.44269504088896340736)

DEVICE real activated(real z) {
#if ACTIVATION == 1
  return z < 0 ? real(0) : z;
#elif ACTIVATION == 2
  const real size = z < 0 ? -z : z;
  return (z < 0 ? real(0) : z) - size * normal_tail(size);
#elif ACTIVATION == 3
  return z * sigmoid_of_log2(LOG2_E * z * (z * z * real(0.0713548162726) + real(1.5957691216057308)));
#elif ACTIVATION == 4
  return z * sigmoid_of_log2(LOG2_E * z);
#else
  return z;
#endif
}

DEVICE real activation_slope(real z) {
#if ACTIVATION == 1
  return z > 0 ? real(1) : real(0);
#elif ACTIVATION == 2
  const real tail = normal_tail(z < 0 ? -z : z);
  const real density = real(0.39894228040143267794) * exp2_of(real(-0.5) * LOG2_E * z * z);
  return (z < 0 ? tail : real(1) - tail) + z * density;
#elif ACTIVATION == 3
  const real s = sigmoid_of_log2(LOG2_E * z * (z * z * real(0.0713548162726) + real(1.5957691216057308)));
  return s + z * s * (real(1) - s) * (z * z * real(0.2140644488178) + real(1.5957691216057308));
#elif ACTIVATION == 4
  const real s = sigmoid_of_log2(LOG2_E * z);
  return s + z * s * (real(1) - s);
#else
  return real(1);
#endif
}

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
#pragma unroll(WINDOW <= 5 ? WINDOW : 1)
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
