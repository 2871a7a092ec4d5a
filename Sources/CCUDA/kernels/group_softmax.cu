// Softmax over the columns of a row's own group, zeros in all others: rows [B, C, C] of channels that attend to channels.
// A warp has a row; its group's columns are read once more from the cache instead of being held.
#include "prelude.cuh"

struct GroupSoftmax {
  const element *x;   // the products; of the backward pass: the weights
  const element *dy;  // of the backward pass
  element *y;         // of the backward pass: the gradient of x
  long long rows;     // B C
  int columns, width; // C, and the columns of a group
  real scale;         // of x
};

DEVICE real warp_sum(real value) {
#pragma unroll
  for (int by = 16; by > 0; by /= 2) value += __shfl_xor_sync(~0u, value, by);
  return value;
}
DEVICE real warp_max(real value) {
#pragma unroll
  for (int by = 16; by > 0; by /= 2) {
    const real other = __shfl_xor_sync(~0u, value, by);
    value = other > value ? other : value;
  }
  return value;
}

#if ELEMENT == 3
DEVICE real exponential(real x) { return exp(x); }
#else
DEVICE real exponential(real x) { return fast_exp2(x * 1.44269504088896340736f); }
#endif

KERNEL __launch_bounds__(256) group_softmax(const GroupSoftmax s) {
  const long long row = (long long)blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
  if (row >= s.rows) return;
  const int lane = threadIdx.x % 32, first = (int)(row % s.columns) / s.width * s.width;
  const element *const x = s.x + row * s.columns + first;
  real largest = to_real(x[0]);
  for (int c = lane; c < s.width; c += 32) {
    const real value = to_real(x[c]);
    largest = value > largest ? value : largest;
  }
  largest = warp_max(largest);
  real sum = 0;
  for (int c = lane; c < s.width; c += 32) sum += exponential((to_real(x[c]) - largest) * s.scale);
  const real factor = 1 / warp_sum(sum);
  element *const y = s.y + row * s.columns;
  for (int c = lane; c < s.columns; c += 32) {
    const int place = c - first;
    const bool own = place >= 0 && place < s.width;
    y[c] = to_element(own ? exponential((to_real(x[place]) - largest) * s.scale) * factor : real(0));
  }
}

KERNEL __launch_bounds__(256) group_softmax_backward(const GroupSoftmax s) {
  const long long row = (long long)blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
  if (row >= s.rows) return;
  const int lane = threadIdx.x % 32, first = (int)(row % s.columns) / s.width * s.width;
  const long long at = row * s.columns + first;
  real sum = 0;
  for (int c = lane; c < s.width; c += 32) sum += to_real(s.x[at + c]) * to_real(s.dy[at + c]);
  sum = warp_sum(sum);
  element *const y = s.y + row * s.columns;
  for (int c = lane; c < s.columns; c += 32) {
    const int place = c - first;
    const bool own = place >= 0 && place < s.width;
    y[c] = to_element(own ? to_real(s.x[at + place]) * (to_real(s.dy[at + place]) - sum) * s.scale : real(0));
  }
}
