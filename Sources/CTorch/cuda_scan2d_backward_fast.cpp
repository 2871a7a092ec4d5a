// The backward pass of the 2-D scan on NVIDIA GPUs, for one state and planes that fit shared memory.
#include <ATen/ops/empty.h>

#include <optional>

#include "cuda.h"
#include "cuda_scan2d_backward_fast.h"

namespace ctorch::cuda {
namespace {

bool is_aligned(const at::Tensor &tensor) { return reinterpret_cast<uintptr_t>(tensor.const_data_ptr()) % 16 == 0; }

// From one pixel to the next, in a map with neighbouring channels whose pixels lie one after the other.
std::optional<int64_t> pixel_stride(const at::Tensor &map) {
  const int64_t height = map.size(2), width = map.size(3);
  if (map.stride(1) != 1 || !is_aligned(map)) return std::nullopt;
  if (height > 1 && width > 1 && map.stride(2) != width * map.stride(3)) return std::nullopt;
  const int64_t stride = width > 1 ? map.stride(3) : height > 1 ? map.stride(2) : map.size(1);
  const bool whole = stride % 8 == 0 && (map.size(0) == 1 || map.stride(0) % 8 == 0);
  return whole ? std::optional(stride) : std::nullopt;
}

// Whether each pixel has its four rows one after the other, each filled up to whole 16 bytes that may be read.
bool has_whole_rows(const at::Tensor &p, int64_t row) {
  if (!is_aligned(p) || p.stride(1) != row || p.stride(2) != 1) return false;
  if (p.size(3) > 1 && p.stride(3) != 4 * row) return false;
  if (p.size(0) > 1 && p.stride(0) % 8 != 0) return false;
  const int64_t end = p.storage_offset() + (p.size(0) - 1) * p.stride(0) + p.size(3) * 4 * row;
  return end * int64_t(p.element_size()) <= int64_t(p.storage().nbytes());
}

}  // namespace

bool scan2d_backward_fast(
    const at::Tensor &dy, const at::Tensor &x, const at::Tensor &projection, const at::Tensor &weight,
    const at::Tensor &bias, const at::Tensor &a, const at::Tensor &d, std::vector<at::Tensor> &out) {
  const at::ScalarType type = x.scalar_type();
  if ((type != at::kHalf && type != at::kBFloat16) || dy.scalar_type() != type || projection.scalar_type() != type) {
    return false;
  }
  const int64_t batch = x.size(0), channels = x.size(1), height = x.size(2), width = x.size(3), length = height * width;
  const int64_t rank = weight.size(2), row = (rank + 2 + 7) / 8 * 8;
  if (x.numel() == 0 || a.size(1) != 1 || rank % 2 != 0 || rank > 64 || channels % 8 != 0) return false;
  for (const at::Tensor &parameter : {weight, bias, a, d}) {
    if (!is_aligned(parameter) || !parameter.is_contiguous()) return false;
  }
  const std::optional<int64_t> x_pixel = pixel_stride(x), dy_pixel = pixel_stride(dy);
  if (!x_pixel || !dy_pixel || !has_whole_rows(projection, row)) return false;
  const ccuda_device &device = facts(x);
  const std::optional<scan2d::Backward> plan =
      scan2d::backward(batch, channels, height, width, rank, device.shared_bytes, device.multiprocessors);
  if (!plan || plan->groups > 65535 || batch * plan->image_fragments / 256 >= INT32_MAX) return false;

  const auto floats = x.options().dtype(at::kFloat);
  const at::Tensor dx = at::empty(x.sizes(), x.options(), at::MemoryFormat::ChannelsLast);
  const at::Tensor drows = at::empty({batch, length, 4, row}, projection.options());
  const at::Tensor rows = at::empty({plan->splits * batch * plan->image_fragments * 2}, floats);
  const at::Tensor totals = at::empty({plan->groups * (channels / 8) * plan->tile_totals}, floats);
  const at::Tensor parameters = at::empty({4 * channels * (rank + 3)}, floats);
  struct {
    const void *dy, *x, *projection, *weight, *bias, *a, *d;
    void *dx, *drows, *rows, *totals, *parameters;
    int32_t images, channels, height, width, pitch, order, splits, group;
    int64_t dy_image, dy_pixel, x_image, x_pixel, projection_image, dx_image, dx_pixel;
  } arguments{
      dy.const_data_ptr(), x.const_data_ptr(), projection.const_data_ptr(), weight.const_data_ptr(),
      bias.const_data_ptr(), a.const_data_ptr(), d.const_data_ptr(), dx.mutable_data_ptr(), drows.mutable_data_ptr(),
      rows.mutable_data_ptr(), totals.mutable_data_ptr(), parameters.mutable_data_ptr(), int32_t(batch),
      int32_t(channels), int32_t(height), int32_t(width), plan->plane.pitch, plan->plane.order, plan->splits,
      plan->group, dy.stride(0), *dy_pixel, x.stride(0), *x_pixel, projection.stride(0), length * channels, channels};
  Macros macros;
  macros.set("ELEMENT", element(type)).set("RANK", rank).set("ITEMS", plan->plane.items).set("WARPS", plan->warps);
  macros.set("RINGS", plan->rings).set("WRAP", plan->wrap).set("BLOCKS", plan->blocks);
  macros.set("AHEAD", plan->ahead);
  const auto find = [&](const char *entry, int64_t bytes) {
    return cuda::kernel(x, "ss2d_backward", entry, macros, bytes);
  };
  const auto blocks_of = [](int64_t threads) { return Extent{uint32_t((threads + 255) / 256)}; };
  launch(
      x, find("ss2d_backward", plan->bytes), {uint32_t(plan->splits), uint32_t(plan->groups)},
      {uint32_t(32 * plan->warps * plan->rings)}, plan->bytes, arguments);
  launch(x, find("ss2d_backward_rows", 0), blocks_of(batch * plan->image_fragments), {256}, 0, arguments);
  launch(
      x, find("ss2d_backward_parameters", 0), blocks_of(channels / 8 * plan->tile_totals), {256}, 0, arguments,
      int32_t(plan->groups));

  const int64_t vector = 4 * channels;
  const auto part = [&](int64_t from, int64_t vectors, at::IntArrayRef sizes) {
    return parameters.narrow(0, from * vector, vectors * vector).view(sizes);
  };
  out = {
      dx, drows.permute({0, 2, 3, 1}).narrow(2, 0, rank + 2), part(0, rank, {4, channels, rank}),
      part(rank, 1, {4, channels}), part(rank + 1, 1, {vector, 1}), part(rank + 2, 1, {vector})};
  return true;
}

}  // namespace ctorch::cuda
