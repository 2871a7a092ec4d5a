// What the operators on maps stored channels last share: their operands as the kernels take them.
#pragma once
#include <ATen/ops/empty.h>

#include "cuda.h"
#include "cuda_map_plans.h"

namespace ctorch::cuda {

constexpr auto channels_last = at::MemoryFormat::ChannelsLast;

// The type of parameters, statistics and sums.
inline at::ScalarType real_type(const at::Tensor &x) { return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat; }
inline int64_t real_bytes(const at::Tensor &x) { return x.scalar_type() == at::kDouble ? 8 : 4; }

inline at::Tensor map(const char *name, const at::Tensor &x) {
  TORCH_CHECK(x.dim() == 4, name, ": expected a map [B, C, H, W], got ", x.sizes());
  TORCH_CHECK(x.is_cuda(), name, ": this kernel runs on a GPU, the tensor is on ", x.device());
  constexpr int64_t most = std::numeric_limits<int32_t>::max() / 2;
  TORCH_CHECK(
      x.size(1) <= most && x.size(2) <= most && x.size(3) <= most, name, ": a side of ", x.sizes(), " is too long");
  return x.contiguous(channels_last);
}

// A map of the sizes and the type of another.
inline at::Tensor map_like(const char *name, const at::Tensor &x, const at::Tensor &like, at::ScalarType type) {
  TORCH_CHECK(
      x.sizes() == like.sizes() && x.device() == like.device(), name, ": expected ", like.sizes(), " on ", like.device(),
      ", got ", x.sizes(), " on ", x.device());
  return map(name, x.to(type));
}

inline at::Tensor parameter(const char *name, const at::Tensor &tensor, const at::Tensor &x, at::IntArrayRef shape) {
  if (!tensor.defined()) return tensor;
  TORCH_CHECK(
      tensor.sizes() == shape && tensor.device() == x.device(), name, ": expected ", shape, " on ", x.device(), ", got ",
      tensor.sizes(), " on ", tensor.device());
  return tensor.to(real_type(x)).contiguous();
}

inline at::Tensor new_map(const at::Tensor &like, int64_t channels, int64_t height, int64_t width, at::ScalarType type) {
  return at::empty({like.size(0), channels, height, width}, like.options().dtype(type).memory_format(channels_last));
}
inline at::Tensor new_map(const at::Tensor &like, at::ScalarType type) {
  return new_map(like, like.size(1), like.size(2), like.size(3), type);
}
inline at::Tensor new_reals(const at::Tensor &like, at::IntArrayRef shape) {
  return at::empty(shape, like.options().dtype(real_type(like)).memory_format(at::MemoryFormat::Contiguous));
}

inline void *address(const at::Tensor &tensor) { return tensor.defined() ? tensor.data_ptr() : nullptr; }

// All addresses at once, for the check of their alignment.
template <class... Tensors>
inline uint64_t addresses(const Tensors &...tensors) {
  return (uint64_t(0) | ... | reinterpret_cast<uint64_t>(address(tensors)));
}

template <class Parameters>
inline void launch(const at::Tensor &on, ccuda_kernel function, const Plan &plan, const Parameters &parameters) {
  TORCH_CHECK(
      plan.blocks <= std::numeric_limits<int32_t>::max() && plan.groups <= 65535,
      "a map of ", on.sizes(), " takes more blocks than a grid has");
  launch(
      on, function, {uint32_t(plan.blocks), uint32_t(plan.groups)}, {uint32_t(plan.across), uint32_t(plan.deep)},
      plan.shared_bytes, parameters);
}

}  // namespace ctorch::cuda
