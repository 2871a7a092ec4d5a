// activation(x + bias) of maps [pixels, C] in place: what follows a convolution of LibTorch's, in one pass.
#include "prelude.cuh"

struct BiasActivation {
  element *x;
  const real *bias;  // [C]
  long long pixels;
  int channels;
};

// Channels are dealt out to threadIdx.x, so that a thread keeps its biases from pixel to pixel.
KERNEL __launch_bounds__(256) bias_activation(const BiasActivation s) {
  const int channel = (blockIdx.y * blockDim.x + threadIdx.x) * VECTOR;
  if (channel >= s.channels) return;
  real bias[VECTOR];
#pragma unroll
  for (int v = 0; v < VECTOR; v++) bias[v] = s.bias[channel + v];
  const long long step = (long long)gridDim.x * blockDim.y;
#pragma unroll 2
  for (long long pixel = (long long)blockIdx.x * blockDim.y + threadIdx.y; pixel < s.pixels; pixel += step) {
    element *const at = s.x + pixel * s.channels + channel;
    real value[VECTOR];
    unpack(value, elements_at<VECTOR>(at));
#pragma unroll
    for (int v = 0; v < VECTOR; v++) value[v] = activated(value[v] + bias[v]);
    store(at, value);
  }
}
