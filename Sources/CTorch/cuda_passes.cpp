// Small passes around LibTorch's own products and convolutions on a GPU: the softmax of channels that attend to their group,
// and the bias and activation after a convolution.
#include <ATen/ops/empty_like.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include "cuda_maps.h"

using namespace ctorch;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

namespace {

struct SoftmaxParameters {
  const void *x, *dy;
  void *y;
  int64_t rows;
  int32_t columns, width;
};
// The kernel's last member has the arithmetic's own type.
template <class Real>
struct SoftmaxParametersOf : SoftmaxParameters {
  Real scale;
};

template <class Real>
void launch_softmax(const char *entry, const SoftmaxParameters &p, double scale, const at::Tensor &on) {
  SoftmaxParametersOf<Real> parameters;
  static_cast<SoftmaxParameters &>(parameters) = p;
  parameters.scale = static_cast<Real>(scale);
  constexpr int64_t warps = 8;
  const int64_t blocks = (p.rows + warps - 1) / warps;
  TORCH_CHECK(blocks <= std::numeric_limits<int32_t>::max(), "softmax: ", on.sizes(), " has more rows than a grid");
  cuda::Macros macros;
  macros.set("ELEMENT", cuda::element(on.scalar_type()));
  cuda::launch(
      on, cuda::kernel(on, "group_softmax", entry, macros), {static_cast<uint32_t>(blocks)}, {32 * warps}, 0, parameters);
}

at::Tensor run_softmax(const at::Tensor &x, const at::Tensor &dy, int64_t groups, double scale) {
  at::Tensor y = at::empty_like(x);
  if (y.numel() == 0) return y;
  const SoftmaxParameters p{
      x.data_ptr(),         dy.defined() ? dy.data_ptr() : nullptr,  y.data_ptr(), x.size(0) * x.size(1),
      static_cast<int32_t>(x.size(2)), static_cast<int32_t>(x.size(2) / groups)};
  const char *entry = dy.defined() ? "group_softmax_backward" : "group_softmax";
  if (x.scalar_type() == at::kDouble) launch_softmax<double>(entry, p, scale, x);
  else launch_softmax<float>(entry, p, scale, x);
  return y;
}

struct GroupSoftmax : torch::autograd::Function<GroupSoftmax> {
  static at::Tensor forward(AutogradContext *context, const at::Tensor &x, int64_t groups, double scale) {
    const at::Tensor y = run_softmax(x, {}, groups, scale);
    context->save_for_backward({y});
    context->saved_data["groups"] = groups;
    context->saved_data["scale"] = scale;
    return y;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    TORCH_CHECK(!c10::GradMode::is_enabled(), "softmax of groups: our kernel has no second derivative");
    const at::Tensor y = context->get_saved_variables()[0];
    const at::Tensor dy = gradients[0].to(y.scalar_type()).contiguous();
    return {
        run_softmax(y, dy, context->saved_data["groups"].toInt(), context->saved_data["scale"].toDouble()), at::Tensor(),
        at::Tensor()};
  }
};

struct BiasActivationParameters {
  void *x;
  const void *bias;
  int64_t pixels;
  int32_t channels;
};

}  // namespace

extern "C" {
ct_tensor ct_group_softmax(ct_tensor x_, int64_t groups, double scale) {
  return guard_tensor([&] {
    const at::Tensor &x = ref(x_);
    TORCH_CHECK(
        x.dim() == 3 && x.size(1) == x.size(2) && groups > 0 && x.size(2) % groups == 0 && scale > 0,
        "softmax of groups: expected [B, C, C] of channels that divide into ", groups, " groups, got ", x.sizes());
    TORCH_CHECK(x.is_cuda(), "softmax of groups: this kernel runs on a GPU, the tensor is on ", x.device());
    return GroupSoftmax::apply(x.contiguous(), groups, scale);
  });
}

ct_tensor ct_bias_activation(ct_tensor x_, ct_tensor bias_, int32_t activation) {
  return guard_tensor([&] {
    at::Tensor x = ref(x_);
    TORCH_CHECK(
        !(c10::GradMode::is_enabled() && x.requires_grad()),
        "bias and activation: this kernel works in place and has no gradient");
    x = cuda::map("map", x);
    const at::Tensor bias = cuda::parameter("bias", ref(bias_), x, {x.size(1)});
    if (x.numel() == 0) return x;
    const int32_t vector = cuda::vector_of(
        x.size(1), static_cast<int64_t>(x.element_size()), reinterpret_cast<uint64_t>(x.data_ptr()), 16);
    const BiasActivationParameters p{
        x.data_ptr(), bias.data_ptr(), x.size(0) * x.size(2) * x.size(3), static_cast<int32_t>(x.size(1))};
    cuda::Plan plan = cuda::plan_channels(x.size(1), vector);
    plan.blocks = cuda::sharing_blocks(plan, p.pixels, cuda::facts(x).multiprocessors, 8);
    cuda::Macros macros;
    macros.set("ELEMENT", cuda::element(x.scalar_type())).set("VECTOR", vector).set("ACTIVATION", activation);
    cuda::launch(x, cuda::kernel(x, "bias_activation", "bias_activation", macros), plan, p);
    return x;
  });
}
}
