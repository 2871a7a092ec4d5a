// Passes over maps [pixels, C]: a shortcut scaled by channel plus a branch, with its gradients; maps joined along channels,
// with the inverse; sums over rows. A thread has VECTOR neighbouring channels of a pixel.
#include "prelude.cuh"

// ---- scaled sum

struct ScaledSum {
  const element *shortcut, *branch;  // of the backward pass: branch is the gradient of the sum
  const real *scale, *offset;   // [C], both or none
  element *y;                        // of the backward pass: the gradient of the shortcut
  real *partial;                     // of the backward pass: [gridDim.x][2][C], sums of dy shortcut and of dy
  long long pixels;
  int channels;
};

// Channels are dealt out to threadIdx.x, so that a thread keeps its factors from pixel to pixel; blockIdx.y counts groups of
// channels where a block has not all of them.
KERNEL __launch_bounds__(256) scaled_sum(const ScaledSum s) {
  const int channel = (blockIdx.y * blockDim.x + threadIdx.x) * VECTOR;
  if (channel >= s.channels) return;
  real scale[VECTOR], offset[VECTOR];
#pragma unroll
  for (int v = 0; v < VECTOR; v++) {
    scale[v] = s.scale ? s.scale[channel + v] : real(1);
    offset[v] = s.offset ? s.offset[channel + v] : real(0);
  }
  const long long step = (long long)gridDim.x * blockDim.y;
#pragma unroll 2
  for (long long pixel = (long long)blockIdx.x * blockDim.y + threadIdx.y; pixel < s.pixels; pixel += step) {
    const long long at = pixel * s.channels + channel;
    real sum[VECTOR], branch[VECTOR];
    unpack(sum, elements_at<VECTOR>(s.shortcut + at));
    unpack(branch, elements_at<VECTOR>(s.branch + at));
#pragma unroll
    for (int v = 0; v < VECTOR; v++) sum[v] = sum[v] * scale[v] + (branch[v] + offset[v]);
    store(s.y + at, sum);
  }
}

KERNEL __launch_bounds__(256) scaled_sum_backward(const ScaledSum s) {
  SHARED_MEMORY(real, shared);
  const int width = blockDim.x * VECTOR, channel = (blockIdx.y * blockDim.x + threadIdx.x) * VECTOR;
  real scale[VECTOR] = {}, sums[2][VECTOR] = {};
  const long long step = (long long)gridDim.x * blockDim.y;
  long long pixel = (long long)blockIdx.x * blockDim.y + threadIdx.y;
  if (channel < s.channels) {
#pragma unroll
    for (int v = 0; v < VECTOR; v++) scale[v] = s.scale[channel + v];
  } else {
    pixel = s.pixels;
  }
#pragma unroll 2
  for (; pixel < s.pixels; pixel += step) {
    const long long at = pixel * s.channels + channel;
    real dy[VECTOR], shortcut[VECTOR];
    unpack(dy, elements_at<VECTOR>(s.branch + at));
    unpack(shortcut, elements_at<VECTOR>(s.shortcut + at));
#pragma unroll
    for (int v = 0; v < VECTOR; v++) {
      sums[0][v] += dy[v] * shortcut[v];
      sums[1][v] += dy[v];
      dy[v] *= scale[v];
    }
    store(s.y + at, dy);
  }
#pragma unroll
  for (int k = 0; k < 2; k++) {
#pragma unroll
    for (int v = 0; v < VECTOR; v++) shared[(threadIdx.y * 2 + k) * width + threadIdx.x * VECTOR + v] = sums[k][v];
  }
  __syncthreads();
  const int thread = threadIdx.y * blockDim.x + threadIdx.x, threads = blockDim.x * blockDim.y;
  for (int i = thread; i < 2 * width; i += threads) {
    const int to = blockIdx.y * width + i % width;
    if (to >= s.channels) continue;
    real sum = 0;
    for (unsigned y = 0; y < blockDim.y; y++) sum += shared[y * 2 * width + i];
    s.partial[((long long)blockIdx.x * 2 + i / width) * s.channels + to] = sum;
  }
}

// The sums over the rows of [rows, count].
KERNEL __launch_bounds__(512) sum_rows(
    const real *__restrict__ partial, real *__restrict__ sums, long long rows, long long count) {
  __shared__ double shared[64][8];
  const long long at = (long long)blockIdx.x * 8 + threadIdx.x;
  const real sum = sum_column(shared, partial, rows, count, at);
  if (threadIdx.y == 0 && at < count) sums[at] = sum;
}

// ---- join

#define MOST_MAPS 16

struct Join {
  element *maps[MOST_MAPS];
  int first[MOST_MAPS + 1];  // the first channel of each map in the joined, then the number of all
  element *joined;
  const int *order;          // or null
  long long pixels;
  int count, lines;          // of maps; pixels of a block
};

// The block's pixels between the maps and `joined`; a thread keeps to its channels of the joined.
DEVICE void move_maps(const Join &j, element *joined, int present, bool to_maps) {
  const int total = j.first[j.count];
  const long long begin = (long long)blockIdx.x * j.lines;
  int m = 0;
  for (int channel = threadIdx.x * VECTOR; channel < total; channel += blockDim.x * VECTOR) {
    while (channel >= j.first[m + 1]) m++;
    const int channels = j.first[m + 1] - j.first[m];
    element *map = j.maps[m] + begin * channels + (channel - j.first[m]);
    for (int pixel = threadIdx.y; pixel < present; pixel += blockDim.y) {
      element *there = map + (long long)pixel * channels, *here = joined + (long long)pixel * total + channel;
      *reinterpret_cast<Elements<VECTOR> *>(to_maps ? there : here) = elements_at<VECTOR>(to_maps ? here : there);
    }
  }
}

DEVICE int present_lines(const Join &j) {
  const long long rest = j.pixels - (long long)blockIdx.x * j.lines;
  return rest < j.lines ? (int)rest : j.lines;
}

// With an order a block's pixels are gathered from shared memory, so that both sides are read and written in order.
KERNEL __launch_bounds__(256) join(const Join j) {
  SHARED_MEMORY(element, lines);
  const int total = j.first[j.count], present = present_lines(j);
  element *joined = j.joined + (long long)blockIdx.x * j.lines * total;
  if (!j.order) return move_maps(j, joined, present, false);
  move_maps(j, lines, present, false);
  __syncthreads();
  for (int channel = threadIdx.x * VECTOR; channel < total; channel += blockDim.x * VECTOR) {
    int order[VECTOR];
#pragma unroll
    for (int v = 0; v < VECTOR; v++) order[v] = j.order[channel + v];
    for (int pixel = threadIdx.y; pixel < present; pixel += blockDim.y) {
      real values[VECTOR];
#pragma unroll
      for (int v = 0; v < VECTOR; v++) values[v] = to_real(lines[pixel * total + order[v]]);
      store(joined + (long long)pixel * total + channel, values);
    }
  }
}

// Takes the joined apart; the order is a permutation.
KERNEL __launch_bounds__(256) join_backward(const Join j) {
  SHARED_MEMORY(element, lines);
  const int total = j.first[j.count], present = present_lines(j);
  element *joined = j.joined + (long long)blockIdx.x * j.lines * total;
  if (!j.order) return move_maps(j, joined, present, true);
  for (int channel = threadIdx.x * VECTOR; channel < total; channel += blockDim.x * VECTOR) {
    int order[VECTOR];
#pragma unroll
    for (int v = 0; v < VECTOR; v++) order[v] = j.order[channel + v];
    for (int pixel = threadIdx.y; pixel < present; pixel += blockDim.y) {
      real values[VECTOR];
      unpack(values, elements_at<VECTOR>(joined + (long long)pixel * total + channel));
#pragma unroll
      for (int v = 0; v < VECTOR; v++) lines[pixel * total + order[v]] = to_element(values[v]);
    }
  }
  __syncthreads();
  move_maps(j, lines, present, true);
}
