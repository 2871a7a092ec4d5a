// The backward pass of the 2-D scan on NVIDIA GPUs: checks, launches, the last sums.
#include "cuda_scan2d_backward.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <numeric>

#include "cuda_scan2d_operands.h"

namespace ctorch::cuda {
namespace {

// A tensor of the same strides, even where they leave gaps, as rows filled up to whole vectors do; the gaps are zero.
at::Tensor with_strides_of(const at::Tensor &tensor) {
  if (tensor.is_non_overlapping_and_dense()) return at::empty_like(tensor);
  std::vector<int64_t> order(tensor.dim());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int64_t i, int64_t j) { return tensor.stride(i) < tensor.stride(j); });
  int64_t size = 1;
  for (const int64_t i : order) {
    if (tensor.size(i) == 1) continue;
    // An expanded tensor: its elements share memory, which its gradients cannot.
    if (tensor.stride(i) < size) return at::empty(tensor.sizes(), tensor.options());
    size = tensor.size(i) * tensor.stride(i);
  }
  return at::zeros({size}, tensor.options()).as_strided(tensor.sizes(), tensor.strides(), 0);
}

// Operands of one type, and gradients in theirs.
struct Operands : scan2d::Operands {
  at::Tensor dy, dx, dprojection;
};

// The layout of the kernels' arguments.
struct Arguments {
  const void *dy, *x, *projection, *weight, *bias, *a, *d;
  void *dx, *dprojection, *scratch, *rows, *parameters;
  int32_t channels, height, width, down, across, parts, groups, splits;
  int64_t first_image, images;
  int64_t dy_strides[4], x_strides[4], projection_strides[4], dx_strides[4], dprojection_strides[4];
};

// Writes the gradients of the maps, and returns those of the parameters one after the other.
at::Tensor run_general(const Operands &o) {
  const at::ScalarType type = o.x.scalar_type(), real = type == at::kDouble ? at::kDouble : at::kFloat;
  const int real_bytes = real == at::kDouble ? 8 : 4;
  const ccuda_device &device = facts(o.x);
  const scan2d::BackwardPlan plan = scan2d::backward_plan(
      o.batch(), o.channels(), o.height(), o.width(), o.rank(), o.state(), real_bytes, device.shared_bytes,
      device.multiprocessors);
  TORCH_CHECK(
      plan.bytes <= device.shared_bytes, "gradient of a map's scan: a rank of ", o.rank(), " and ", o.state(),
      " states are more than a block's ", device.shared_bytes, " bytes of shared memory hold");
  const at::TensorOptions options = o.x.options().dtype(real);
  const at::Tensor scratch = at::empty({plan.images * plan.scratch_size}, options);
  const at::Tensor rows = at::empty({plan.images * plan.splits * plan.rows_size}, options);
  const at::Tensor parameters = at::empty({plan.launches * plan.parts * plan.groups, plan.parameters_size}, options);

  Arguments arguments{
      o.dy.const_data_ptr(), o.x.const_data_ptr(), o.projection.const_data_ptr(), o.weight.const_data_ptr(),
      o.bias.const_data_ptr(), o.a.const_data_ptr(), o.d.const_data_ptr(), o.dx.mutable_data_ptr(),
      o.dprojection.mutable_data_ptr(), scratch.mutable_data_ptr(), rows.mutable_data_ptr(),
      parameters.mutable_data_ptr(), int32_t(o.channels()), int32_t(o.height()), int32_t(o.width()), plan.down,
      plan.across, plan.parts, plan.groups, plan.splits, 0, 0, {}, {}, {}, {}, {}};
  std::copy_n(o.dy.strides().begin(), 4, arguments.dy_strides);
  std::copy_n(o.x.strides().begin(), 4, arguments.x_strides);
  std::copy_n(o.projection.strides().begin(), 4, arguments.projection_strides);
  std::copy_n(o.dx.strides().begin(), 4, arguments.dx_strides);
  std::copy_n(o.dprojection.strides().begin(), 4, arguments.dprojection_strides);
  Macros macros;
  macros.set("ELEMENT", element(type)).set("RANK", o.rank()).set("STATE", o.state()).set("SIDE", plan.side);
  macros.set("TOGETHER", plan.together).set("BLOCKS", plan.blocks);
  macros.set("OUTPUT", o.dy.scalar_type() == type && type != real);
  const auto find = [&](const char *entry, int64_t bytes) {
    return cuda::kernel(o.x, "ss2d_backward_general", entry, macros, bytes);
  };
  const int64_t carry_bytes = plan.carry_warps * 2 * 32 * real_bytes;
  const ccuda_kernel find_totals = find("ss2d_backward_totals", plan.bytes);
  const ccuda_kernel carry = find("ss2d_backward_carries", carry_bytes);
  const ccuda_kernel find_gradients = find("ss2d_backward_gradients", plan.bytes);
  const ccuda_kernel add_rows = find("ss2d_backward_rows", 0);
  const auto count = [](int64_t blocks) { return Extent{uint32_t(blocks)}; };
  const Extent block{uint32_t(32 * plan.side)};
  int64_t written = 0;
  for (int64_t first = 0; first < o.batch(); first += plan.images) {
    const int64_t images = std::min(plan.images, o.batch() - first), tasks = images * plan.columns;
    arguments.first_image = first, arguments.images = images;
    arguments.parts = int32_t(std::min<int64_t>(plan.parts, images));
    arguments.parameters = parameters.select(0, written).mutable_data_ptr();
    written += int64_t(arguments.parts) * plan.groups;
    launch(o.x, find_totals, count(tasks * plan.down * plan.across), block, plan.bytes, arguments);
    launch(o.x, carry, count(tasks * 8 * o.state()), {uint32_t(32 * plan.carry_warps)}, carry_bytes, arguments);
    const Extent grid = count(int64_t(arguments.parts) * plan.splits * plan.groups);
    launch(o.x, find_gradients, grid, block, plan.bytes, arguments);
    launch(o.x, add_rows, count((images * plan.rows_size + 255) / 256), {256}, 0, arguments);
  }
  return at::sum(parameters.narrow(0, 0, written), {0});
}

}  // namespace

std::vector<at::Tensor> scan2d_backward(
    const at::Tensor &dy, const at::Tensor &x, const at::Tensor &projection, const at::Tensor &weight,
    const at::Tensor &bias, const at::Tensor &a, const at::Tensor &d) {
  scan2d::check("gradient of a map's scan", x, projection, weight, bias, a, d);
  scan2d::check_operand("gradient of a map's scan", "dy", dy, x.sizes(), x);
  const at::ScalarType type = x.scalar_type(), rows = projection.scalar_type();
  std::vector<at::Tensor> fast;
  if (x.numel() > 0 && scan2d_backward_fast(dy, x, projection, weight, bias, a, d, fast)) return fast;
  at::Tensor dx = at::empty_like(x), dprojection = with_strides_of(projection);
  if (x.numel() == 0) {
    const auto zeros = [](const at::Tensor &parameter) { return at::zeros_like(parameter); };
    return {dx, dprojection.zero_(), zeros(weight), zeros(bias), zeros(a), zeros(d)};
  }
  // The kernels read one type; float32 holds both of two others.
  const auto same = [&](const at::Tensor &tensor) { return type == rows ? tensor : tensor.to(at::kFloat); };
  Operands operands{{same(x), same(projection), weight, bias, a, d}, dy, dx, dprojection};
  const at::ScalarType read = operands.x.scalar_type(), real = read == at::kDouble ? at::kDouble : at::kFloat;
  if (dy.scalar_type() != read) operands.dy = dy.to(real);
  if (read != type) operands.dx = at::empty_like(operands.x);
  if (read != rows) operands.dprojection = at::empty_like(operands.projection);
  const at::Tensor parameters = run_general(operands);
  if (read != type) dx.copy_(operands.dx);
  if (read != rows) dprojection.copy_(operands.dprojection);
  std::vector<at::Tensor> gradients{dx, dprojection};
  int64_t begin = 0;
  for (const at::Tensor *parameter : {&weight, &bias, &a, &d}) {
    gradients.push_back(parameters.narrow(0, begin, parameter->numel()).view(parameter->sizes()));
    begin += parameter->numel();
  }
  return gradients;
}

}  // namespace ctorch::cuda
