// The forward pass of the 2-D scan on NVIDIA GPUs: checks, choice of kernel, launch.
#include "cuda_scan2d.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "cuda_scan2d_operands.h"

namespace ctorch::cuda {
namespace scan2d {

void check_operand(
    const char *where, const char *name, const at::Tensor &tensor, at::IntArrayRef sizes, const at::Tensor &x) {
  TORCH_CHECK(
      tensor.sizes() == sizes, where, ": ", name, " is ", tensor.sizes(), ", expected ", sizes, " for x ", x.sizes());
  TORCH_CHECK(
      tensor.device() == x.device(), where, ": ", name, " is on ", tensor.device(), ", x on ", x.device());
}

void check(
    const char *where, const at::Tensor &x, const at::Tensor &projection, const at::Tensor &weight,
    const at::Tensor &bias, const at::Tensor &a, const at::Tensor &d) {
  TORCH_CHECK(x.is_cuda(), where, ": x is on ", x.device(), ", expected a GPU");
  TORCH_CHECK(x.dim() == 4, where, ": x is ", x.sizes(), ", expected [B, D, H, W]");
  TORCH_CHECK(weight.dim() == 3, where, ": the time step's weight is ", weight.sizes(), ", expected [4, D, R]");
  TORCH_CHECK(a.dim() == 2, where, ": A is ", a.sizes(), ", expected [4D, N]");
  const int64_t channels = x.size(1), rank = weight.size(2), state = a.size(1);
  TORCH_CHECK(rank > 0 && state > 0, where, ": a rank of ", rank, " and ", state, " states, expected at least 1");
  TORCH_CHECK(
      x.size(2) * x.size(3) <= INT32_MAX && channels <= INT32_MAX / 32, where, ": x ", x.sizes(),
      " has more pixels or channels than the kernels count");
  check_operand(where, "the projection", projection, {x.size(0), 4, rank + 2 * state, x.size(2) * x.size(3)}, x);
  const at::ScalarType type = x.scalar_type(), rows = projection.scalar_type();
  TORCH_CHECK(
      type == rows || (type != at::kDouble && rows != at::kDouble), where, ": the projection is ", rows, ", x ", type);
  const at::ScalarType real = type == at::kDouble ? at::kDouble : at::kFloat;
  const auto check_parameter = [&](const char *name, const at::Tensor &tensor, at::IntArrayRef sizes) {
    check_operand(where, name, tensor, sizes, x);
    TORCH_CHECK(tensor.scalar_type() == real, where, ": ", name, " is ", tensor.scalar_type(), ", expected ", real);
    TORCH_CHECK(tensor.is_contiguous(), where, ": ", name, " is not contiguous");
  };
  check_parameter("the time step's weight", weight, {4, channels, rank});
  check_parameter("the time step's bias", bias, {4, channels});
  check_parameter("A", a, {4 * channels, state});
  check_parameter("D", d, {4 * channels});
}

bool is_aligned(const at::Tensor &tensor) { return reinterpret_cast<uintptr_t>(tensor.const_data_ptr()) % 16 == 0; }

std::optional<int64_t> pixel_stride(const at::Tensor &map) {
  const int64_t height = map.size(2), width = map.size(3);
  if (map.stride(1) != 1 || !is_aligned(map)) return std::nullopt;
  if (height > 1 && width > 1 && map.stride(2) != width * map.stride(3)) return std::nullopt;
  const int64_t stride = width > 1 ? map.stride(3) : height > 1 ? map.stride(2) : map.size(1);
  const bool whole = stride % 8 == 0 && (map.size(0) == 1 || map.stride(0) % 8 == 0);
  return whole ? std::optional(stride) : std::nullopt;
}

bool has_whole_rows(const at::Tensor &p) {
  const int64_t row = (p.size(2) + 7) / 8 * 8;
  if (!is_aligned(p) || p.stride(1) != row || p.stride(2) != 1) return false;
  if (p.size(3) > 1 && p.stride(3) != 4 * row) return false;
  if (p.size(0) > 1 && p.stride(0) % 8 != 0) return false;
  const int64_t end = p.storage_offset() + (p.size(0) - 1) * p.stride(0) + p.size(3) * 4 * row;
  return end * int64_t(p.element_size()) <= int64_t(p.storage().nbytes());
}

}  // namespace scan2d

namespace {

struct Operands : scan2d::Operands {
  at::Tensor y;
};

bool run_one_state(const Operands &o) {
  const at::ScalarType type = o.x.scalar_type();
  if (o.state() != 1 || (type != at::kHalf && type != at::kBFloat16)) return false;
  if (o.rank() % 2 != 0 || o.rank() > 64 || o.channels() % 8 != 0) return false;
  for (const at::Tensor &parameter : {o.weight, o.bias, o.a, o.d}) {
    if (!scan2d::is_aligned(parameter)) return false;
  }
  const std::optional<int64_t> x_pixel = scan2d::pixel_stride(o.x), y_pixel = scan2d::pixel_stride(o.y);
  if (!x_pixel || !y_pixel || !scan2d::has_whole_rows(o.projection)) return false;
  const ccuda_device &device = facts(o.x);
  const int64_t tiles = o.batch() * o.channels() / 8;
  const std::optional<scan2d::Rings> plan =
      scan2d::rings(o.height(), o.width(), o.rank(), tiles, device.shared_bytes, device.multiprocessors);
  // Offsets inside an image are of 32 bits.
  const int64_t length = o.height() * o.width();
  if (!plan || tiles > INT32_MAX || length * std::max(*x_pixel, *y_pixel) > INT32_MAX) return false;

  struct {
    const void *x, *projection, *weight, *bias, *a, *d;
    void *y;
    int32_t channels, height, width, pitch, length, chunks, tiles;
    float per_height, per_width;
    int32_t x_pixel, y_pixel;
    int64_t x_image, projection_image, y_image;
  } arguments{
      o.x.const_data_ptr(), o.projection.const_data_ptr(), o.weight.const_data_ptr(), o.bias.const_data_ptr(),
      o.a.const_data_ptr(), o.d.const_data_ptr(), o.y.mutable_data_ptr(), int32_t(o.channels()), int32_t(o.height()),
      int32_t(o.width()), plan->plane.pitch, int32_t(length), plan->chunks, int32_t(tiles), 1.f / float(o.height()),
      1.f / float(o.width()), int32_t(*x_pixel), int32_t(*y_pixel), o.x.stride(0),
      o.projection.stride(0), o.y.stride(0)};
  Macros macros;
  macros.set("ELEMENT", element(type)).set("RANK", o.rank()).set("ITEMS", plan->plane.items).set("WARPS", plan->warps);
  macros.set("RINGS", plan->rings).set("BUFFERS", plan->buffers).set("WRAP", plan->wrap);
  macros.set("OUTPUT", o.y.scalar_type() == type).set("BLOCKS", plan->blocks);
  macros.set("ORDER", plan->plane.order).set("STAGED", plan->staged).set("PREFETCH", plan->prefetch);
  const ccuda_kernel kernel = cuda::kernel(o.x, "ss2d_forward", "ss2d_forward", macros, plan->bytes);
  launch(
      o.x, kernel, {uint32_t(plan->grid)}, {uint32_t(32 * plan->warps * plan->rings)}, plan->bytes, arguments);
  return true;
}

void run_general(const Operands &o) {
  const at::ScalarType type = o.x.scalar_type(), real = type == at::kDouble ? at::kDouble : at::kFloat;
  const int real_bytes = real == at::kDouble ? 8 : 4;
  const scan2d::Tiles tile =
      scan2d::tiles(o.height(), o.width(), o.rank(), o.state(), real_bytes, facts(o.x).shared_bytes);
  TORCH_CHECK(
      tile.bytes <= facts(o.x).shared_bytes, "scan of a map: a rank of ", o.rank(), " and ", o.state(),
      " states are more than a block's ", facts(o.x).shared_bytes, " bytes of shared memory hold");
  const int64_t down = (o.height() + tile.height - 1) / tile.height, across = (o.width() + tile.width - 1) / tile.width;
  const int64_t tasks = o.batch() * ((o.channels() + 31) / 32);
  const int64_t task_size = 2 * (o.height() * across + o.width() * down) * (1 + o.state()) * 32;
  // So many tasks at a time that their totals take no more room than the map in the arithmetic's type, and that blocks
  // can be counted.
  const int64_t together = std::clamp<int64_t>(
      std::min(o.x.numel() / task_size, INT32_MAX / std::max(down * across, 4 * o.state())), 1, tasks);
  const at::Tensor scratch = at::empty({together * task_size}, o.x.options().dtype(real));

  struct {
    const void *x, *projection, *weight, *bias, *a, *d;
    void *y, *scratch;
    int32_t channels, height, width, tile_height, tile_width, down, across, together;
    int64_t first_task, x_strides[4], projection_strides[4], y_strides[4];
  } arguments{
      o.x.const_data_ptr(), o.projection.const_data_ptr(), o.weight.const_data_ptr(), o.bias.const_data_ptr(),
      o.a.const_data_ptr(), o.d.const_data_ptr(), o.y.mutable_data_ptr(), scratch.mutable_data_ptr(),
      int32_t(o.channels()), int32_t(o.height()), int32_t(o.width()), tile.height, tile.width, int32_t(down),
      int32_t(across), tile.together, 0, {}, {}, {}};
  std::copy_n(o.x.strides().begin(), 4, arguments.x_strides);
  std::copy_n(o.projection.strides().begin(), 4, arguments.projection_strides);
  std::copy_n(o.y.strides().begin(), 4, arguments.y_strides);
  Macros macros;
  macros.set("ELEMENT", element(type)).set("RANK", o.rank()).set("STATE", o.state());
  macros.set("OUTPUT", o.y.scalar_type() == type && type != real);
  const auto find = [&](const char *entry, int64_t bytes) {
    return cuda::kernel(o.x, "ss2d_general", entry, macros, bytes);
  };
  const int64_t segments = std::max(o.height() * across, o.width() * down);
  const int carry_warps = int(std::clamp<int64_t>((segments + 7) / 8, 4, 32));
  const int64_t carry_bytes = carry_warps * 2 * 32 * real_bytes;
  const ccuda_kernel totals = find("ss2d_totals", tile.bytes), carries = find("ss2d_carries", carry_bytes),
                     sums = find("ss2d_sums", tile.bytes);
  const Extent block{uint32_t(32 * std::max(tile.height, tile.width))};
  for (int64_t first = 0; first < tasks; first += together) {
    const int64_t count = std::min(together, tasks - first);
    const Extent grid{uint32_t(count * down * across)};
    arguments.first_task = first;
    launch(o.x, totals, grid, block, tile.bytes, arguments);
    launch(o.x, carries, {uint32_t(count * 4 * o.state())}, {uint32_t(32 * carry_warps)}, carry_bytes, arguments);
    launch(o.x, sums, grid, block, tile.bytes, arguments);
  }
}

}  // namespace

at::Tensor scan2d_forward(
    const at::Tensor &x, const at::Tensor &projection, const at::Tensor &weight, const at::Tensor &bias,
    const at::Tensor &a, const at::Tensor &d, at::ScalarType output) {
  scan2d::check("scan of a map", x, projection, weight, bias, a, d);
  const at::ScalarType type = x.scalar_type(), rows = projection.scalar_type();
  at::Tensor y = at::empty_like(x, x.options().dtype(output));
  if (y.numel() == 0) return y;
  // The kernels read one type; float32 holds both of two others.
  const auto same = [&](const at::Tensor &tensor) { return type == rows ? tensor : tensor.to(at::kFloat); };
  Operands operands{{same(x), same(projection), weight, bias, a, d}, y};
  const at::ScalarType read = operands.x.scalar_type(), real = read == at::kDouble ? at::kDouble : at::kFloat;
  if (output != read && output != real) operands.y = at::empty_like(x, x.options().dtype(real));
  if (!run_one_state(operands)) run_general(operands);
  if (!operands.y.is_same(y)) y.copy_(operands.y);
  return y;
}

}  // namespace ctorch::cuda
