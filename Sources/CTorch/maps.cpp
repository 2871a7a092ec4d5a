// The inference kernels of CKernels for maps stored channels last, on LibTorch's tensors and thread pool.
#include <c10/core/GradMode.h>
#include <ATen/ops/empty.h>

#include "cmap.h"
#include "internal.h"
using namespace ctorch;

namespace {

constexpr auto channels_last = at::MemoryFormat::ChannelsLast;

int32_t type_of(const at::Tensor &tensor) {
  TORCH_CHECK(
      tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kDouble,
      "kernels for inference take float32 or float64, got ", tensor.scalar_type());
  return tensor.scalar_type() == at::kDouble ? CSCAN_FLOAT64 : CSCAN_FLOAT32;
}

void refuse_gradients(const char *name, const at::Tensor &tensor) {
  TORCH_CHECK(
      !(c10::GradMode::is_enabled() && tensor.requires_grad()), name,
      ": kernels for inference have no gradient; use the model that was not prepared, or turn gradients off");
}

// The elements in channels-last order, copied only where they lie otherwise.
at::Tensor map(const char *name, const at::Tensor &x) {
  TORCH_CHECK(x.dim() == 4, name, ": expected [B, C, H, W], got ", x.sizes());
  TORCH_CHECK(x.device().is_cpu(), name, ": this kernel runs on the CPU, the tensor is on ", x.device());
  refuse_gradients(name, x);
  return x.contiguous(channels_last);
}

at::Tensor parameter(const char *name, const at::Tensor &tensor, const at::Tensor &x, at::IntArrayRef shape) {
  TORCH_CHECK(tensor.sizes() == shape, name, ": expected shape ", shape, ", got ", tensor.sizes());
  TORCH_CHECK(
      tensor.scalar_type() == x.scalar_type(), name, ": expected ", x.scalar_type(), " as the map, got ",
      tensor.scalar_type());
  refuse_gradients(name, tensor);
  return tensor.contiguous();
}

at::Tensor result(const at::Tensor &x, int64_t channels, int64_t height, int64_t width) {
  return at::empty({x.size(0), channels, height, width}, x.options().memory_format(channels_last));
}

void check(int32_t status) { TORCH_CHECK(status == CSCAN_OK, cscan_error_message(status)); }

}  // namespace

extern "C" {
ct_tensor ct_map_depthwise(
    ct_tensor x_, ct_tensor weight_, ct_tensor bias_, int64_t stride, int64_t padding, int32_t activation) {
  return guard_tensor([&] {
    const at::Tensor x = map("x", ref(x_));
    const int64_t channels = x.size(1), kernel = ref(weight_).size(0);
    const at::Tensor weight = parameter("weight", ref(weight_), x, {kernel, kernel, channels});
    const at::Tensor bias = bias_ ? parameter("bias", ref(bias_), x, {channels}) : at::Tensor();
    cmap_depthwise c{};
    c.batch = x.size(0), c.height = x.size(2), c.width = x.size(3), c.channels = channels;
    c.kernel = kernel, c.stride = stride, c.padding = padding, c.type = type_of(x), c.activation = activation;
    c.x = x.data_ptr(), c.weight = weight.data_ptr(), c.bias = bias.defined() ? bias.data_ptr() : nullptr;
    TORCH_CHECK(
        stride > 0 && padding >= 0 && c.height + 2 * padding >= kernel && c.width + 2 * padding >= kernel,
        "a window of ", kernel, " with stride ", stride, " does not fit a map of ", c.height, " by ", c.width,
        " padded by ", padding);
    at::Tensor y = result(
        x, channels, (c.height + 2 * padding - kernel) / stride + 1, (c.width + 2 * padding - kernel) / stride + 1);
    check(cmap_depthwise_forward(&c, y.data_ptr(), parallel));
    return y;
  });
}

ct_tensor ct_map_norm(ct_tensor x_, ct_tensor weight_, ct_tensor bias_, double epsilon) {
  return guard_tensor([&] {
    const at::Tensor x = map("x", ref(x_));
    const at::Tensor weight = parameter("weight", ref(weight_), x, {x.size(1)});
    const at::Tensor bias = parameter("bias", ref(bias_), x, {x.size(1)});
    const cmap_norm n{x.size(0),    x.size(2) * x.size(3), x.size(1),       type_of(x),
                      x.data_ptr(), weight.data_ptr(),     bias.data_ptr(), epsilon};
    at::Tensor y = result(x, x.size(1), x.size(2), x.size(3));
    check(cmap_norm_forward(&n, y.data_ptr(), parallel));
    return y;
  });
}

ct_tensor ct_map_scaled_sum(ct_tensor shortcut_, ct_tensor scale_, ct_tensor offset_, ct_tensor branch_) {
  return guard_tensor([&] {
    const at::Tensor x = map("shortcut", ref(shortcut_)), branch = map("branch", ref(branch_));
    TORCH_CHECK(
        branch.sizes() == x.sizes() && branch.scalar_type() == x.scalar_type(), "branch: expected ", x.sizes(), " of ",
        x.scalar_type(), ", got ", branch.sizes(), " of ", branch.scalar_type());
    const at::Tensor scale = parameter("scale", ref(scale_), x, {x.size(1)});
    const at::Tensor offset = parameter("offset", ref(offset_), x, {x.size(1)});
    const cmap_scaled_sum s{x.size(0) * x.size(2) * x.size(3), x.size(1),         type_of(x),       x.data_ptr(),
                            scale.data_ptr(),                  offset.data_ptr(), branch.data_ptr()};
    at::Tensor y = result(x, x.size(1), x.size(2), x.size(3));
    check(cmap_scaled_sum_forward(&s, y.data_ptr(), parallel));
    return y;
  });
}

ct_tensor ct_map_join(const ct_tensor *maps_, int32_t count, ct_tensor order_) {
  return guard_tensor([&] {
    TORCH_CHECK(count > 0, "there are no maps to join");
    std::vector<at::Tensor> maps;
    std::vector<const void *> pointers;
    std::vector<int64_t> channels;
    int64_t total = 0;
    for (int32_t i = 0; i < count; i++) {
      maps.push_back(map("map", ref(maps_[i])));
      const at::Tensor &x = maps.back(), &first = maps.front();
      TORCH_CHECK(
          x.size(0) == first.size(0) && x.size(2) == first.size(2) && x.size(3) == first.size(3) &&
              x.scalar_type() == first.scalar_type(),
          "maps to be joined differ: ", first.sizes(), " of ", first.scalar_type(), " and ", x.sizes(), " of ",
          x.scalar_type());
      pointers.push_back(x.data_ptr());
      channels.push_back(x.size(1));
      total += x.size(1);
    }
    const at::Tensor &x = maps.front();
    const at::Tensor order = order_ ? ref(order_).contiguous() : at::Tensor();
    TORCH_CHECK(
        !order.defined() || (order.scalar_type() == at::kInt && order.sizes() == at::IntArrayRef{total}),
        "order: expected [", total, "] of Int, got ", order.defined() ? order.sizes() : at::IntArrayRef{});
    const cmap_join m{x.size(0) * x.size(2) * x.size(3), count,           type_of(x),
                      pointers.data(),                   channels.data(), order.defined() ? order.data_ptr<int32_t>() : nullptr};
    at::Tensor y = result(x, total, x.size(2), x.size(3));
    check(cmap_join_forward(&m, y.data_ptr(), parallel));
    return y;
  });
}
}
