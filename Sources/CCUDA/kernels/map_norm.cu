// The normalisation of each map [positions, C] of a batch over all its numbers, then an affine map of each channel
// (group norm of one group), and its gradients. OUTPUT is the type of the result: 0 `element`, 1 `real`.
// A thread has VECTOR neighbouring numbers.
#include "prelude.cuh"

#if OUTPUT == 0
typedef element output;
DEVICE void load_output(real (&numbers)[VECTOR], const output *address) { unpack(numbers, elements_at<VECTOR>(address)); }
DEVICE void store_output(output *address, const real (&numbers)[VECTOR]) { store(address, numbers); }
#else
typedef real output;
struct alignas(VECTOR * sizeof(real) < 16 ? VECTOR * sizeof(real) : 16) Numbers {
  real at[VECTOR];
};
DEVICE void load_output(real (&numbers)[VECTOR], const output *address) {
  const Numbers values = *reinterpret_cast<const Numbers *>(address);
#pragma unroll
  for (int v = 0; v < VECTOR; v++) numbers[v] = values.at[v];
}
DEVICE void store_output(output *address, const real (&numbers)[VECTOR]) {
  Numbers values;
#pragma unroll
  for (int v = 0; v < VECTOR; v++) values.at[v] = numbers[v];
  *reinterpret_cast<Numbers *>(address) = values;
}
#endif

struct MapNorm {
  const element *x;
  const real *weight, *bias;  // [C]
  output *y;                       // of the backward pass: the gradient of the result, which is read
  element *dx;                     // of the backward pass
  real *statistics;                // [B, 2]: mean, 1 / deviation
  real *partial;                   // [B][shares] moments, or [B][shares][groups of channels][2] sums
  real *channel_sums;              // of the backward pass: [B][shares][2][C], sums of dy normalised and of dy
  long long positions;
  int channels, shares;            // shares: blocks, or records of `partial`, that share a map
  int blocks;                      // of the kernel, that share a map
  real epsilon;
};

// How many numbers there were, their mean, and the sum of their squared distances from it.
struct Moments {
  real count, mean, squares;

  // Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances" (1979).
  DEVICE void add(real other_count, real other_mean, real other_squares) {
    const real total = count + other_count;
    if (total == 0) return;
    const real share = other_count / total, step = other_mean - mean;
    mean += step * share;
    squares += other_squares + step * step * (count * share);
    count = total;
  }
};

DEVICE Moments over_warp(Moments moments) {
#pragma unroll
  for (int by = 16; by > 0; by /= 2) {
    const real count = __shfl_down_sync(~0u, moments.count, by), mean = __shfl_down_sync(~0u, moments.mean, by);
    moments.add(count, mean, __shfl_down_sync(~0u, moments.squares, by));
  }
  return moments;
}

DEVICE real sum_over_warp(real sum) {
#pragma unroll
  for (int by = 16; by > 0; by /= 2) sum += __shfl_down_sync(~0u, sum, by);
  return sum;
}

#define BATCH 4  // groups of numbers whose moments are taken together, in registers

// Moments of each block's share of a map.
KERNEL __launch_bounds__(256, 4) map_moments(const MapNorm n) {
  __shared__ real records[8][3];
  const long long groups = n.positions * n.channels / VECTOR;
  const int image = blockIdx.x / n.shares, share = blockIdx.x % n.shares;
  const long long end = groups * (share + 1) / n.shares;
  const element *x = n.x + image * n.positions * n.channels;
  Moments moments = {0, 0, 0};
  long long group = groups * share / n.shares + threadIdx.x;
  const auto fetch = [&](Elements<VECTOR>(&loaded)[BATCH], long long from) {
#pragma unroll
    for (int i = 0; i < BATCH; i++) {
      loaded[i] = Elements<VECTOR>();
      if (from + i * 256 < end) loaded[i] = elements_at<VECTOR>(x + (from + i * 256) * VECTOR);
    }
  };
  Elements<VECTOR> loaded[BATCH];
  fetch(loaded, group);
  for (; group < end; group += BATCH * 256) {
    const long long left = (end - group + 255) / 256;
    const int present = left < BATCH ? (int)left : BATCH;
    real values[BATCH][VECTOR], sum = 0, squares = 0;
#pragma unroll
    for (int i = 0; i < BATCH; i++) {
      unpack(values[i], loaded[i]);
#pragma unroll
      for (int v = 0; v < VECTOR; v++) sum += values[i][v];
    }
    fetch(loaded, group + BATCH * 256);
    const real count = (real)(present * VECTOR), mean = sum / count;
#pragma unroll
    for (int i = 0; i < BATCH; i++) {
      if (i >= present) continue;
#pragma unroll
      for (int v = 0; v < VECTOR; v++) squares += (values[i][v] - mean) * (values[i][v] - mean);
    }
    moments.add(count, mean, squares);
  }
  moments = over_warp(moments);
  const int warp = threadIdx.x / 32;
  if (threadIdx.x % 32 == 0) {
    records[warp][0] = moments.count, records[warp][1] = moments.mean, records[warp][2] = moments.squares;
  }
  __syncthreads();
  if (warp > 0) return;
  moments = {0, 0, 0};
  if (threadIdx.x < 8) moments = {records[threadIdx.x][0], records[threadIdx.x][1], records[threadIdx.x][2]};
  moments = over_warp(moments);
  if (threadIdx.x > 0) return;
  real *record = n.partial + (long long)blockIdx.x * 3;
  record[0] = moments.count, record[1] = moments.mean, record[2] = moments.squares;
}

// A block's pixels and channels: channels are dealt out to threadIdx.x, so that a thread keeps its factors from pixel to
// pixel; blockIdx.y counts groups of channels where a block has not all of them.
struct Walk {
  int image, channel;
  long long pixel, step;
};
DEVICE Walk walk(const MapNorm &n, int blocks) {
  const int block = blockIdx.x % blocks;
  return {(int)(blockIdx.x / blocks), (int)(blockIdx.y * blockDim.x + threadIdx.x) * VECTOR,
          (long long)block * blockDim.y + threadIdx.y, (long long)blocks * blockDim.y};
}

KERNEL __launch_bounds__(256, 6) map_norm(const MapNorm n) {
  __shared__ real statistics[2];
  const Walk w = walk(n, n.blocks);
  const int thread = threadIdx.y * blockDim.x + threadIdx.x;
  Moments moments = {0, 0, 0};
  if (thread < n.shares) {
    const real *record = n.partial + ((long long)w.image * n.shares + thread) * 3;
    moments = {record[0], record[1], record[2]};
  }
  if (thread < 32) moments = over_warp(moments);
  if (thread == 0) {
    statistics[0] = moments.mean;
    statistics[1] = real(1) / sqrt(moments.squares / moments.count + n.epsilon);
    if (blockIdx.x % n.blocks == 0 && blockIdx.y == 0) {
      n.statistics[2 * w.image] = statistics[0];
      n.statistics[2 * w.image + 1] = statistics[1];
    }
  }
  __syncthreads();
  if (w.channel >= n.channels) return;
  real scale[VECTOR], offset[VECTOR];
#pragma unroll
  for (int v = 0; v < VECTOR; v++) {
    scale[v] = n.weight[w.channel + v] * statistics[1];
    offset[v] = n.bias[w.channel + v];
  }
  const real mean = statistics[0];
  const long long base = w.image * n.positions;
#pragma unroll 2
  for (long long pixel = w.pixel; pixel < n.positions; pixel += w.step) {
    const long long at = (base + pixel) * n.channels + w.channel;
    real values[VECTOR];
    unpack(values, elements_at<VECTOR>(n.x + at));
#pragma unroll
    for (int v = 0; v < VECTOR; v++) values[v] = (values[v] - mean) * scale[v] + offset[v];
    store_output(n.y + at, values);
  }
}

// Sums over each block's share of a map: by channel, and over all channels weighted by the weight.
KERNEL __launch_bounds__(256, 4) map_norm_sums(const MapNorm n) {
  SHARED_MEMORY(real, shared);
  const Walk w = walk(n, n.shares);
  const int width = blockDim.x * VECTOR, thread = threadIdx.y * blockDim.x + threadIdx.x;
  const int threads = blockDim.x * blockDim.y;
  const real mean = n.statistics[2 * w.image], inverse = n.statistics[2 * w.image + 1];
  const long long base = w.image * n.positions;
  real sums[2][VECTOR] = {};
#pragma unroll 2
  for (long long pixel = w.channel < n.channels ? w.pixel : n.positions; pixel < n.positions; pixel += w.step) {
    const long long at = (base + pixel) * n.channels + w.channel;
    real x[VECTOR], dy[VECTOR];
    unpack(x, elements_at<VECTOR>(n.x + at));
    load_output(dy, n.y + at);
#pragma unroll
    for (int v = 0; v < VECTOR; v++) {
      sums[0][v] += dy[v] * ((x[v] - mean) * inverse);
      sums[1][v] += dy[v];
    }
  }
#pragma unroll
  for (int k = 0; k < 2; k++) {
#pragma unroll
    for (int v = 0; v < VECTOR; v++) shared[(threadIdx.y * 2 + k) * width + threadIdx.x * VECTOR + v] = sums[k][v];
  }
  __syncthreads();
  for (int i = thread; i < 2 * width; i += threads) {
    const int channel = blockIdx.y * width + i % width;
    real sum = 0;
    for (unsigned y = 0; y < blockDim.y; y++) sum += shared[y * 2 * width + i];
    if (channel < n.channels) {
      n.channel_sums[((long long)blockIdx.x * 2 + i / width) * n.channels + channel] = sum;
      sum *= n.weight[channel];
    } else {
      sum = 0;
    }
    shared[i] = sum;
  }
  __syncthreads();
  for (int k = 0; k < 2; k++) {
    real sum = 0;
    if (thread < 32) {
      for (int i = thread; i < width; i += 32) sum += shared[k * width + i];
      sum = sum_over_warp(sum);
    }
    if (thread == 0) n.partial[((long long)blockIdx.x * gridDim.y + blockIdx.y) * 2 + k] = sum;
  }
}

// The gradient of x, from the sums of `map_norm_sums`: n.shares counts the records of a map.
KERNEL __launch_bounds__(256, 4) map_norm_backward(const MapNorm n) {
  __shared__ real means[2];
  const Walk w = walk(n, n.blocks);
  const int thread = threadIdx.y * blockDim.x + threadIdx.x;
  if (thread < 32) {
    real sums[2] = {};
    for (int share = thread; share < n.shares; share += 32) {
      const real *record = n.partial + ((long long)w.image * n.shares + share) * 2;
      sums[0] += record[0], sums[1] += record[1];
    }
    const real count = (real)n.positions * (real)n.channels;
#pragma unroll
    for (int k = 0; k < 2; k++) {
      const real sum = sum_over_warp(sums[k]);
      if (thread == 0) means[k] = sum / count;
    }
  }
  __syncthreads();
  if (w.channel >= n.channels) return;
  const real mean = n.statistics[2 * w.image], inverse = n.statistics[2 * w.image + 1];
  const real along = means[0] * inverse, level = means[1];
  real weight[VECTOR];
#pragma unroll
  for (int v = 0; v < VECTOR; v++) weight[v] = n.weight[w.channel + v];
  const long long base = w.image * n.positions;
#pragma unroll 2
  for (long long pixel = w.pixel; pixel < n.positions; pixel += w.step) {
    const long long at = (base + pixel) * n.channels + w.channel;
    real x[VECTOR], dy[VECTOR];
    unpack(x, elements_at<VECTOR>(n.x + at));
    load_output(dy, n.y + at);
#pragma unroll
    for (int v = 0; v < VECTOR; v++) dy[v] = inverse * (dy[v] * weight[v] - level - (x[v] - mean) * along);
    store(n.dx + at, dy);
  }
}
