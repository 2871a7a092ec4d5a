// The backward pass of the 2-D scan on NVIDIA GPUs, for one state and planes that fit shared memory.
#include <ATen/ops/empty.h>

#include <optional>

#include "cuda.h"
#include "cuda_scan2d_backward_fast.h"
#include "cuda_scan2d_operands.h"

namespace ctorch::cuda {

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
    if (!scan2d::is_aligned(parameter) || !parameter.is_contiguous()) return false;
  }
  const std::optional<int64_t> x_pixel = scan2d::pixel_stride(x), dy_pixel = scan2d::pixel_stride(dy);
  if (!x_pixel || !dy_pixel || !scan2d::has_whole_rows(projection)) return false;
  const ccuda_device &device = facts(x);
  const std::optional<scan2d::Backward> plan =
      scan2d::backward(batch, channels, height, width, rank, device.shared_bytes, device.l2_bytes, device.multiprocessors);
  const int64_t columns = channels / 8;
  if (!plan || batch > INT32_MAX || columns > INT32_MAX) return false;

  const auto floats = x.options().dtype(at::kFloat);
  const at::Tensor dx = at::empty(x.sizes(), x.options(), at::MemoryFormat::ChannelsLast);
  const at::Tensor drows = at::empty({batch, length, 4, row}, projection.options());
  const at::Tensor rows = at::empty({plan->together * columns * plan->tile_fragments * 2}, floats);
  const int64_t groups = (batch + plan->rings - 1) / plan->rings;
  const at::Tensor totals = at::empty({groups * columns * plan->tile_totals}, floats);
  const at::Tensor parameters = at::empty({4 * channels * (rank + 3)}, floats);
  struct {
    const void *dy, *x, *projection, *weight, *bias, *a, *d;
    void *dx, *drows, *rows, *totals, *parameters;
    int32_t channels, height, width, pitch, order, first, end;
    int64_t dy_image, dy_pixel, x_image, x_pixel, projection_image, dx_image, dx_pixel;
  } arguments{
      dy.const_data_ptr(), x.const_data_ptr(), projection.const_data_ptr(), weight.const_data_ptr(),
      bias.const_data_ptr(), a.const_data_ptr(), d.const_data_ptr(), dx.mutable_data_ptr(), drows.mutable_data_ptr(),
      rows.mutable_data_ptr(), totals.mutable_data_ptr(), parameters.mutable_data_ptr(), int32_t(channels),
      int32_t(height), int32_t(width), plan->plane.pitch, plan->plane.order, 0, 0, dy.stride(0), *dy_pixel, x.stride(0), *x_pixel, projection.stride(0), length * channels, channels};
  Macros macros;
  macros.set("ELEMENT", element(type)).set("RANK", rank).set("ITEMS", plan->plane.items).set("WARPS", plan->warps);
  macros.set("RINGS", plan->rings).set("WRAP", plan->wrap).set("BLOCKS", plan->blocks);
  const auto find = [&](const char *entry, int64_t bytes) {
    return cuda::kernel(x, "ss2d_backward", entry, macros, bytes);
  };
  const auto blocks_of = [](int64_t threads) { return uint32_t((threads + 255) / 256); };
  const ccuda_kernel differentiate = find("ss2d_backward", plan->bytes), add_rows = find("ss2d_backward_rows", 0);
  const uint32_t threads = uint32_t(32 * plan->warps * plan->rings);
  for (int64_t first = 0; first < batch; first += plan->together) {
    const int64_t images = std::min(plan->together, batch - first);
    arguments.first = int32_t(first), arguments.end = int32_t(first + images);
    const Extent tiles{uint32_t(columns), uint32_t((images + plan->rings - 1) / plan->rings)};
    launch(x, differentiate, tiles, {threads}, plan->bytes, arguments);
    launch(x, add_rows, {blocks_of(plan->tile_fragments), uint32_t(images)}, {256}, 0, arguments);
  }
  launch(
      x, find("ss2d_backward_parameters", 0), {blocks_of(columns * plan->tile_totals)}, {256}, 0, arguments,
      int32_t(groups));

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
