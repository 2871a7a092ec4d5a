// The scans of CKernels as differentiable operators on LibTorch's tensors and thread pool.
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <dlfcn.h>

#include <atomic>

#include "cscan.h"
#include "cuda.h"
#include "internal.h"
using namespace ctorch;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

namespace {

struct Work {
  cscan_task_fn task;
  void *context;
  int64_t count;
  int64_t shares;
  std::atomic<int64_t> next{0};
};

// Shares are taken until none is left, so fewer threads than asked for do all the work too.
void run_shares(void *argument) {
  auto &work = *static_cast<Work *>(argument);
  for (int64_t share = work.next++; share < work.shares; share = work.next++) {
    work.task(work.context, work.count * share / work.shares, work.count * (share + 1) / work.shares);
  }
}

}  // namespace

// LibTorch's own threads. `at::parallel_for` is a header template over OpenMP pragmas, which only a compiler with
// OpenMP for the very runtime that LibTorch ships would honour, so its runtime is entered by its entry point instead.
void ctorch::parallel(int64_t count, cscan_task_fn task, void *context) {
  using parallel_fn = void (*)(void (*)(void *), void *, unsigned, unsigned);
  static const auto enter = reinterpret_cast<parallel_fn>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
  const int64_t threads = std::min<int64_t>(count, at::get_num_threads());
  if (threads > 1 && enter && !at::in_parallel_region()) {
    Work work{task, context, count, std::min(count, 4 * threads), {}};
    enter(run_shares, &work, static_cast<unsigned>(threads), 0);
  } else if (threads > 1) {
    at::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) { task(context, begin, end); });
  } else {
    task(context, 0, count);
  }
}

namespace {

cscan_tensor view(const at::Tensor &tensor) {
  cscan_tensor out{};
  if (!tensor.defined()) return out;
  out.data = tensor.data_ptr();
  switch (tensor.scalar_type()) {
    case at::kFloat: out.type = CSCAN_FLOAT32; break;
    case at::kDouble: out.type = CSCAN_FLOAT64; break;
    case at::kHalf: out.type = CSCAN_FLOAT16; break;
    case at::kBFloat16: out.type = CSCAN_BFLOAT16; break;
    default: TORCH_CHECK(false, "the scan takes floating-point tensors, got ", tensor.scalar_type());
  }
  for (int64_t i = 0; i < tensor.dim(); i++) out.strides[i] = tensor.stride(i);
  return out;
}

void *data(const at::Tensor &tensor) { return tensor.defined() ? tensor.data_ptr() : nullptr; }

void check(int32_t status) { TORCH_CHECK(status == CSCAN_OK, cscan_error_message(status)); }

void check_shape(const char *name, const at::Tensor &tensor, at::IntArrayRef expected) {
  TORCH_CHECK(tensor.sizes() == expected, name, ": expected shape ", expected, ", got ", tensor.sizes());
}

// There are kernels for CPUs and NVIDIA GPUs; `meta` computes sizes alone.
void check_device(const char *name, const at::Tensor &tensor, const at::Tensor &first) {
  TORCH_CHECK(
      tensor.is_cpu() || tensor.is_cuda() || tensor.is_meta(), name,
      ": the scan has kernels for the CPU and for NVIDIA GPUs, the tensor is on ", tensor.device());
  TORCH_CHECK(
      tensor.device() == first.device(), name, ": expected a tensor on ", first.device(), ", got one on ", tensor.device());
}

// The scan accumulates in float32 whatever its inputs are, and in float64 for float64 inputs.
at::ScalarType accumulator(const at::Tensor &input) {
  return input.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

at::Tensor parameter(const at::Tensor &tensor, at::ScalarType type) {
  return tensor.defined() ? tensor.to(type).contiguous() : tensor;
}

void refuse_second_derivative() {
  TORCH_CHECK(
      !c10::GradMode::is_enabled(),
      "the fused scan has no second derivative; choose the naive kernel to differentiate twice");
}

struct Scan2D : torch::autograd::Function<Scan2D> {
  static cscan_ss2d arguments(
      const at::Tensor &x, const at::Tensor &projection, const at::Tensor &delta_weight, const at::Tensor &delta_bias,
      const at::Tensor &a, const at::Tensor &d) {
    cscan_ss2d scan{};
    scan.batch = x.size(0), scan.channels = x.size(1), scan.height = x.size(2), scan.width = x.size(3);
    scan.state = a.size(1), scan.rank = delta_weight.size(2);
    scan.x = view(x), scan.projection = view(projection);
    scan.dt_weight = data(delta_weight), scan.dt_bias = data(delta_bias), scan.a = data(a), scan.d = data(d);
    return scan;
  }

  static at::Tensor forward(
      AutogradContext *context, const at::Tensor &x, const at::Tensor &projection, const at::Tensor &delta_weight,
      const at::Tensor &delta_bias, const at::Tensor &a, const at::Tensor &d) {
    context->save_for_backward({x, projection, delta_weight, delta_bias, a, d});
    if (x.is_cuda()) return cuda::scan2d_forward(x, projection, delta_weight, delta_bias, a, d, x.scalar_type());
    at::Tensor y = at::empty_like(x, x.options().dtype(accumulator(x)));
    const cscan_ss2d scan = arguments(x, projection, delta_weight, delta_bias, a, d);
    check(cscan_ss2d_forward(&scan, view(y), parallel));
    return y;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    refuse_second_derivative();
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &projection = saved[1];
    if (x.is_cuda()) {
      return cuda::scan2d_backward(gradients[0], x, projection, saved[2], saved[3], saved[4], saved[5]);
    }
    at::Tensor dx = at::empty_like(x), dprojection = at::empty_like(projection);
    at::Tensor ddelta_weight = at::empty_like(saved[2]), ddelta_bias = at::empty_like(saved[3]);
    at::Tensor da = at::empty_like(saved[4]), dd = at::empty_like(saved[5]);
    const cscan_ss2d scan = arguments(x, projection, saved[2], saved[3], saved[4], saved[5]);
    const cscan_ss2d_gradient out{
        view(gradients[0]), view(dx), view(dprojection), data(ddelta_weight), data(ddelta_bias), data(da), data(dd)};
    check(cscan_ss2d_backward(&scan, &out, parallel));
    return {dx, dprojection, ddelta_weight, ddelta_bias, da, dd};
  }
};

// LibTorch's custom functions take an undefined tensor only in this form.
using MaybeTensor = std::optional<at::Tensor>;

MaybeTensor maybe(const at::Tensor &tensor) { return tensor.defined() ? MaybeTensor(tensor) : std::nullopt; }

struct SelectiveScan : torch::autograd::Function<SelectiveScan> {
  // The order of inputs: u, delta, a, b, c, d, z, delta_bias; d, z and delta_bias may be undefined.
  static cscan_selective_scan arguments(const variable_list &in, bool softplus) {
    cscan_selective_scan scan{};
    scan.batch = in[0].size(0), scan.channels = in[0].size(1), scan.length = in[0].size(2);
    scan.groups = in[3].size(1), scan.state = in[2].size(1);
    scan.softplus = softplus;
    scan.u = view(in[0]), scan.delta = view(in[1]), scan.b = view(in[3]), scan.c = view(in[4]), scan.z = view(in[6]);
    scan.a = data(in[2]), scan.d = data(in[5]), scan.delta_bias = data(in[7]);
    return scan;
  }

  static variable_list forward(
      AutogradContext *context, const at::Tensor &u, const at::Tensor &delta, const at::Tensor &a, const at::Tensor &b,
      const at::Tensor &c, const MaybeTensor &d, const MaybeTensor &z, const MaybeTensor &delta_bias, bool softplus) {
    const variable_list in{
        u, delta, a, b, c, d.value_or(at::Tensor()), z.value_or(at::Tensor()), delta_bias.value_or(at::Tensor())};
    context->save_for_backward(in);
    context->saved_data["softplus"] = softplus;
    if (u.is_cuda()) {
      variable_list out = cuda::selective_scan_forward(in, softplus);
      context->mark_non_differentiable({out[1]});
      return out;
    }
    const auto options = u.options().dtype(accumulator(u));
    at::Tensor y = at::empty(u.sizes(), options);
    at::Tensor last = at::empty({u.size(0), u.size(1), a.size(1)}, options);
    const cscan_selective_scan scan = arguments(in, softplus);
    check(cscan_selective_scan_forward(&scan, view(y), data(last), parallel));
    context->mark_non_differentiable({last});
    return {y, last};
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    refuse_second_derivative();
    const variable_list in = context->get_saved_variables();
    variable_list out;
    if (in[0].is_cuda()) {
      out = cuda::selective_scan_backward(gradients[0], in, context->saved_data["softplus"].toBool());
      out.push_back(at::Tensor());
      return out;
    }
    for (const at::Tensor &input : in) out.push_back(input.defined() ? at::empty_like(input) : at::Tensor());
    const cscan_selective_scan scan = arguments(in, context->saved_data["softplus"].toBool());
    const cscan_selective_scan_gradient gradient{
        view(gradients[0]), view(out[0]), view(out[1]), view(out[3]), view(out[4]),
        view(out[6]),       data(out[2]), data(out[5]), data(out[7])};
    check(cscan_selective_scan_backward(&scan, &gradient, parallel));
    out.push_back(at::Tensor());
    return out;
  }
};

// The automatic casts leave a scan alone: tensors keep the type they come in, parameters and the state are float32.
struct WithoutAutocast {
  c10::impl::ExcludeDispatchKeyGuard guard{
      c10::DispatchKeySet(at::autocast::get_autocast_dispatch_key_from_device_type(at::kCPU)) |
      c10::DispatchKeySet(at::autocast::get_autocast_dispatch_key_from_device_type(at::kCUDA))};
};

// On a GPU a map takes the type of the casts, so that what surrounds the scan stays in it.
at::Tensor cast_map(const at::Tensor &x) {
  if (!x.is_cuda() || x.scalar_type() == at::kDouble || !at::autocast::is_autocast_enabled(at::kCUDA)) return x;
  return x.to(at::autocast::get_autocast_dtype(at::kCUDA));
}

// Tensors of a scan share one arithmetic: all float64, or none.
at::Tensor operand(const at::Tensor &tensor, at::ScalarType type) {
  if (!tensor.defined() || (tensor.scalar_type() == at::kDouble) == (type == at::kDouble)) return tensor;
  return tensor.to(type);
}

}  // namespace

extern "C" {
ct_tensor ct_selective_scan(
    ct_tensor u_, ct_tensor delta_, ct_tensor a_, ct_tensor b_, ct_tensor c_, ct_tensor d_, ct_tensor z_,
    ct_tensor delta_bias_, bool softplus, ct_tensor *last_state) {
  return guard_tensor([&] {
    const WithoutAutocast plain;
    const at::Tensor &u = ref(u_), &a = ref(a_), &b = ref(b_), &c = ref(c_);
    TORCH_CHECK(u.dim() == 3, "u: expected [B, D, L], got ", u.sizes());
    TORCH_CHECK(a.dim() == 2, "A: expected [D, N], got ", a.sizes());
    TORCH_CHECK(b.dim() == 4, "B: expected [B, G, N, L], got ", b.sizes());
    const int64_t batch = u.size(0), channels = u.size(1), length = u.size(2), state = a.size(1), groups = b.size(1);
    TORCH_CHECK(channels % groups == 0, "the ", channels, " channels do not divide into ", groups, " groups");
    check_shape("u", u, u.sizes());
    check_shape("delta", ref(delta_), u.sizes());
    check_shape("A", a, {channels, state});
    check_shape("B", b, {batch, groups, state, length});
    check_shape("C", c, {batch, groups, state, length});
    if (d_) check_shape("D", ref(d_), {channels});
    if (z_) check_shape("z", ref(z_), u.sizes());
    if (delta_bias_) check_shape("delta bias", ref(delta_bias_), {channels});
    for (const auto &[name, handle] : {std::pair("u", u_), {"delta", delta_}, {"A", a_}, {"B", b_}, {"C", c_}}) {
      check_device(name, ref(handle), u);
    }
    const at::ScalarType type = accumulator(u);
    if (u.is_meta()) {
      if (last_state) *last_state = own(at::empty({batch, channels, state}, u.options().dtype(type)));
      return at::empty_like(u, u.options().dtype(type));
    }
    const variable_list out = SelectiveScan::apply(
        u, operand(ref(delta_), type), parameter(a, type), operand(b, type), operand(c, type),
        maybe(parameter(optional(d_), type)), maybe(operand(optional(z_), type)),
        maybe(parameter(optional(delta_bias_), type)), softplus);
    if (last_state) *last_state = own(out[1]);
    return out[0];
  });
}

ct_tensor ct_scan_2d(
    ct_tensor x_, ct_tensor projections_, ct_tensor delta_weight_, ct_tensor delta_bias_, ct_tensor a_, ct_tensor d_) {
  return guard_tensor([&] {
    const at::Tensor x = cast_map(ref(x_));
    const WithoutAutocast plain;
    const at::Tensor &weight = ref(delta_weight_), &a = ref(a_);
    TORCH_CHECK(x.dim() == 4, "x: expected [B, D, H, W], got ", x.sizes());
    TORCH_CHECK(weight.dim() == 3, "delta weight: expected [4, D, R], got ", weight.sizes());
    TORCH_CHECK(a.dim() == 2, "A: expected [4D, N], got ", a.sizes());
    const int64_t channels = x.size(1), rank = weight.size(2), state = a.size(1);
    check_shape("x", x, x.sizes());
    const int64_t rows = rank + 2 * state;
    at::Tensor projections = ref(projections_);
    // Directions apart, where rows of pixels are padded.
    if (projections.dim() == 4) check_shape("projections", projections, {x.size(0), 4, rows, x.size(2) * x.size(3)});
    else check_shape("projections", projections, {x.size(0), 4 * rows, x.size(2) * x.size(3)});
    check_shape("delta weight", weight, {4, channels, rank});
    check_shape("delta bias", ref(delta_bias_), {4, channels});
    check_shape("A", a, {4 * channels, state});
    check_shape("D", ref(d_), {4 * channels});
    for (const auto &[name, handle] :
         {std::pair("projections", projections_), {"delta weight", delta_weight_}, {"A", a_}, {"D", d_}}) {
      check_device(name, ref(handle), x);
    }
    check_device("x", x, x);
    const at::ScalarType type = accumulator(x);
    if (x.is_meta()) return at::empty_like(x, x.options().dtype(type));
    if (x.is_cuda()) {
      if (projections.dim() == 3) projections = projections.unflatten(1, {4, rows});
      projections = projections.to(x.scalar_type());
    }
    if (x.is_cpu() && projections.dim() == 4) projections = projections.flatten(1, 2);
    return Scan2D::apply(
        x, operand(projections, type), parameter(weight, type), parameter(ref(delta_bias_), type),
        parameter(a, type), parameter(ref(d_), type));
  });
}

const char *ct_scan_capability(void) { return cscan_capability(); }
int32_t ct_set_scan_capability(const char *name) {
  return guard_status([&] { check(cscan_set_capability(name)); });
}
}
