// The map kernels for GPUs as differentiable operators, which follow LibTorch's automatic casts.
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include "cuda.h"

using namespace ctorch;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

namespace {

constexpr auto channels_last = at::MemoryFormat::ChannelsLast;

// LibTorch's custom functions take an undefined tensor only in this form.
using MaybeTensor = std::optional<at::Tensor>;
MaybeTensor maybe(const at::Tensor &tensor) { return tensor.defined() ? MaybeTensor(tensor) : std::nullopt; }

void refuse_second_derivative(const char *name) {
  TORCH_CHECK(!c10::GradMode::is_enabled(), name, ": our kernel has no second derivative");
}

// The casts are made here, once, and not again by what the operator calls.
struct WithoutAutocast {
  c10::impl::ExcludeDispatchKeyGuard guard{at::autocast::get_autocast_dispatch_key_from_device_type(at::kCUDA)};
};

// The map stored channels last, in the type of the casts if they are on.
at::Tensor map(const char *name, ct_tensor handle) {
  const at::Tensor &x = ref(handle);
  TORCH_CHECK(x.dim() == 4, name, ": expected [B, C, H, W], got ", x.sizes());
  TORCH_CHECK(x.is_cuda(), name, ": this kernel runs on a GPU, the tensor is on ", x.device());
  const bool casts = at::autocast::is_autocast_enabled(at::kCUDA) && x.scalar_type() != at::kDouble;
  const at::ScalarType type = casts ? at::autocast::get_autocast_dtype(at::kCUDA) : x.scalar_type();
  const WithoutAutocast plain;
  return x.to(type).contiguous(channels_last);
}

// Parameters are read in float32 (float64 for float64) whatever the map's type.
at::Tensor parameter(const char *name, ct_tensor handle, const at::Tensor &x, at::IntArrayRef shape) {
  if (!handle) return {};
  const at::Tensor &tensor = ref(handle);
  TORCH_CHECK(tensor.sizes() == shape, name, ": expected shape ", shape, ", got ", tensor.sizes());
  TORCH_CHECK(tensor.device() == x.device(), name, ": expected a tensor on ", x.device(), ", got one on ", tensor.device());
  return tensor.to(x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat).contiguous();
}

at::Tensor same_layout(const at::Tensor &gradient, at::ScalarType type) {
  return gradient.to(type).contiguous(channels_last);
}

struct Depthwise : torch::autograd::Function<Depthwise> {
  static at::Tensor forward(
      AutogradContext *context, const at::Tensor &x, const at::Tensor &weight, const MaybeTensor &bias, int64_t stride,
      int64_t padding, bool adds_input, int64_t activation) {
    context->save_for_backward({x, weight, bias.value_or(at::Tensor())});
    context->saved_data["settings"] = std::vector<int64_t>{stride, padding, adds_input, activation};
    return cuda::depthwise(
        x, weight, bias.value_or(at::Tensor()), stride, padding, adds_input, static_cast<int32_t>(activation));
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    refuse_second_derivative("depthwise convolution");
    const variable_list saved = context->get_saved_variables();
    const auto settings = context->saved_data["settings"].toIntVector();
    variable_list out = cuda::depthwise_backward(
        same_layout(gradients[0], saved[0].scalar_type()), saved[0], saved[1], saved[2], settings[0], settings[1],
        settings[2] != 0, static_cast<int32_t>(settings[3]));
    out.resize(7);
    return out;
  }
};

struct MapNorm : torch::autograd::Function<MapNorm> {
  static at::Tensor forward(
      AutogradContext *context, const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias, double epsilon) {
    auto out = cuda::map_norm(x, weight, bias, epsilon, x.scalar_type());
    context->save_for_backward({x, out[1], weight});
    return out[0];
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    refuse_second_derivative("group norm");
    const variable_list saved = context->get_saved_variables();
    variable_list out =
        cuda::map_norm_backward(same_layout(gradients[0], saved[0].scalar_type()), saved[0], saved[1], saved[2]);
    out.resize(4);
    return out;
  }
};

struct ScaledSum : torch::autograd::Function<ScaledSum> {
  static at::Tensor forward(
      AutogradContext *context, const at::Tensor &shortcut, const at::Tensor &scale, const at::Tensor &offset,
      const at::Tensor &branch) {
    context->save_for_backward({shortcut, scale});
    return cuda::scaled_sum(shortcut, scale, offset, branch);
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    refuse_second_derivative("scaled sum");
    const variable_list saved = context->get_saved_variables();
    const at::Tensor dy = same_layout(gradients[0], saved[0].scalar_type());
    variable_list out = cuda::scaled_sum_backward(dy, saved[0], saved[1]);
    out.push_back(dy);
    return out;
  }
};

struct Join : torch::autograd::Function<Join> {
  static at::Tensor forward(AutogradContext *context, const MaybeTensor &order, at::TensorList maps) {
    const std::vector<at::Tensor> list = maps.vec();
    // Sizes alone are needed again.
    std::vector<int64_t> channels;
    for (const at::Tensor &map : list) channels.push_back(map.size(1));
    context->saved_data["channels"] = channels;
    context->save_for_backward({order.value_or(at::Tensor())});
    return cuda::join(list, order.value_or(at::Tensor()));
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    refuse_second_derivative("join");
    const at::Tensor order = context->get_saved_variables()[0];
    const at::Tensor dy = same_layout(gradients[0], gradients[0].scalar_type());
    variable_list out{at::Tensor()};
    for (at::Tensor &gradient : cuda::join_backward(dy, context->saved_data["channels"].toIntVector(), order)) {
      out.push_back(std::move(gradient));
    }
    return out;
  }
};

}  // namespace

extern "C" {
ct_tensor ct_depthwise(
    ct_tensor x_, ct_tensor weight_, ct_tensor bias_, int64_t stride, int64_t padding, bool adds_input,
    int32_t activation) {
  return guard_tensor([&] {
    const at::Tensor x = map("x", x_);
    const WithoutAutocast plain;
    const int64_t channels = x.size(1), kernel = ref(weight_).size(-1);
    const at::Tensor weight = parameter("weight", weight_, x, {channels, 1, kernel, kernel});
    const at::Tensor bias = parameter("bias", bias_, x, {channels});
    TORCH_CHECK(
        stride > 0 && padding >= 0 && x.size(2) + 2 * padding >= kernel && x.size(3) + 2 * padding >= kernel,
        "a window of ", kernel, " with stride ", stride, " does not fit a map of ", x.size(2), " by ", x.size(3),
        " padded by ", padding);
    TORCH_CHECK(
        !adds_input || (stride == 1 && 2 * padding + 1 == kernel),
        "the input is added only to a result of its size, got a window of ", kernel, " with stride ", stride,
        " and padding ", padding);
    return Depthwise::apply(x, weight, maybe(bias), stride, padding, adds_input, static_cast<int64_t>(activation));
  });
}

ct_tensor ct_one_group_norm(ct_tensor x_, ct_tensor weight_, ct_tensor bias_, double epsilon) {
  return guard_tensor([&] {
    const at::Tensor x = map("x", x_);
    const WithoutAutocast plain;
    return MapNorm::apply(
        x, parameter("weight", weight_, x, {x.size(1)}), parameter("bias", bias_, x, {x.size(1)}), epsilon);
  });
}

ct_tensor ct_scaled_sum(ct_tensor shortcut_, ct_tensor scale_, ct_tensor offset_, ct_tensor branch_) {
  return guard_tensor([&] {
    const at::Tensor shortcut = map("shortcut", shortcut_);
    const WithoutAutocast plain;
    const at::Tensor branch = ref(branch_).to(shortcut.scalar_type()).contiguous(channels_last);
    TORCH_CHECK(
        branch.sizes() == shortcut.sizes() && branch.device() == shortcut.device(), "branch: expected ",
        shortcut.sizes(), " on ", shortcut.device(), ", got ", branch.sizes(), " on ", branch.device());
    return ScaledSum::apply(
        shortcut, parameter("scale", scale_, shortcut, {shortcut.size(1)}),
        parameter("offset", offset_, shortcut, {shortcut.size(1)}), branch);
  });
}

ct_tensor ct_join(const ct_tensor *maps_, int32_t count, ct_tensor order_) {
  return guard_tensor([&] {
    TORCH_CHECK(count > 0, "there are no maps to join");
    std::vector<at::Tensor> maps;
    int64_t total = 0;
    for (int32_t i = 0; i < count; i++) {
      const at::Tensor x = map("map", maps_[i]);
      const WithoutAutocast plain;
      maps.push_back(i == 0 ? x : x.to(maps[0].scalar_type()));
      TORCH_CHECK(
          x.size(0) == maps[0].size(0) && x.size(2) == maps[0].size(2) && x.size(3) == maps[0].size(3) &&
              x.device() == maps[0].device(),
          "maps to be joined differ: ", maps[0].sizes(), " on ", maps[0].device(), " and ", x.sizes(), " on ", x.device());
      total += x.size(1);
    }
    const WithoutAutocast plain;
    const at::Tensor order = order_ ? ref(order_).contiguous() : at::Tensor();
    TORCH_CHECK(
        !order.defined() || (order.scalar_type() == at::kInt && order.sizes() == at::IntArrayRef{total}),
        "order: expected [", total, "] of Int, got ", order.defined() ? order.sizes() : at::IntArrayRef{});
    return Join::apply(maybe(order), at::TensorList(maps));
  });
}
}
