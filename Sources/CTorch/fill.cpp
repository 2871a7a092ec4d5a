// Uniform numbers addressed by a counter. Here rather than in Swift so that debug builds fill models as fast.
#include <ATen/ops/empty.h>

#include "internal.h"
using namespace ctorch;

extern "C" {
ct_tensor ct_uniform_fill(const int64_t *sizes, int32_t rank, uint64_t state, double low, double high) {
  return guard_tensor([&] {
    // A fused multiply-add would round once where the rule rounds twice.
#pragma clang fp contract(off)
    at::Tensor tensor = at::empty(at::IntArrayRef(sizes, rank), at::kFloat);
    float *const values = tensor.mutable_data_ptr<float>();
    const int64_t count = tensor.numel();
    const double width = high - low;
    for (int64_t i = 0; i < count; i++) {
      uint64_t z = state + 0x9e3779b97f4a7c15u * (static_cast<uint64_t>(i) + 1);
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
      z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
      const double unit = static_cast<double>(static_cast<uint32_t>((z ^ (z >> 31)) >> 40)) * 0x1p-24;
      values[i] = static_cast<float>(low + width * unit);
    }
    return tensor;
  });
}
}
