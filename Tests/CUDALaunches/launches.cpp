// The operators at the sizes that models have, and the launchers' side that would talk to the GPU.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/group_norm.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include "redirected.h"

#include "../../Sources/CTorch/cuda.h"
#include "cuda_launches.h"
#include "emulated.h"

using namespace ctorch;
using torch::autograd::variable_list;

extern "C" ct_tensor launched_group_softmax(ct_tensor x, int64_t groups, double scale);
extern "C" ct_tensor launched_bias_activation(ct_tensor x, ct_tensor bias, int32_t activation);

namespace {

// Tests run at once, each on a thread of its own.
thread_local void (*taken)(const char *, const char *, void *) = nullptr;
thread_local void *taker = nullptr;
thread_local ccuda_device device;
thread_local std::string failure;
// Whether launches are to be computed, and the kernels found for them, which live as long as the process.
thread_local bool computes = false;

const emulated::Kernel &emulation(const char *program, const char *entry, const std::string &macros) {
  const auto found = emulated::kernels().find(std::string(program) + " " + entry + " " + macros);
  TORCH_CHECK(
      found != emulated::kernels().end(), "emulated_kernels.inc has no ", program, " ", entry, " with ", macros);
  return found->second;
}

}  // namespace

namespace ctorch {

std::string &last_error() { return failure; }
void follow_thread_count() {}

}  // namespace ctorch

namespace ctorch::cuda {

ccuda_kernel kernel(
    const at::Tensor &, const char *program, const char *entry, const Macros &macros, int64_t shared_bytes) {
  TORCH_CHECK(
      shared_bytes <= device.shared_bytes, program, " asks for ", shared_bytes, " bytes of shared memory, of ",
      device.shared_bytes);
  if (computes) {
    return reinterpret_cast<ccuda_kernel>(const_cast<emulated::Kernel *>(&emulation(program, entry, macros.text())));
  }
  taken(program, macros.text().c_str(), taker);
  return reinterpret_cast<ccuda_kernel>(&device);
}

void launch(
    const at::Tensor &, ccuda_kernel function, Extent grid, Extent block, int64_t shared_bytes, void **arguments) {
  TORCH_CHECK(grid.x > 0 && grid.y > 0 && grid.z > 0, "a launch of no blocks");
  const uint64_t threads = uint64_t(block.x) * block.y * block.z;
  TORCH_CHECK(threads > 0 && threads <= 1024, "a block of ", threads, " threads");
  if (!computes) return;
  emulated::run(
      *reinterpret_cast<const emulated::Kernel *>(function), {grid.x, grid.y, grid.z}, {block.x, block.y, block.z},
      static_cast<size_t>(shared_bytes), arguments);
}

const ccuda_device &facts(const at::Tensor &) { return device; }

}  // namespace ctorch::cuda

namespace {

constexpr auto channels_last = at::MemoryFormat::ChannelsLast;

at::Tensor made(at::IntArrayRef sizes, at::ScalarType type) { return at::zeros(sizes, at::dtype(type)); }
at::Tensor map(at::IntArrayRef sizes, at::ScalarType type) { return made(sizes, type).contiguous(channels_last); }
at::ScalarType wide(at::ScalarType type) { return type == at::kDouble ? at::kDouble : at::kFloat; }

void scan2d(int64_t channels, int64_t side, int64_t across, int64_t rank, int64_t states, at::ScalarType type) {
  const int64_t pixels = side * across, rows = rank + 2 * states, row = (rows + 7) / 8 * 8;
  const at::ScalarType real = wide(type);
  const at::Tensor x = map({2, channels, side, across}, type);
  // Each pixel has its four rows, filled up to whole 16 bytes, as a model's product leaves them.
  const at::Tensor projection = made({2, pixels, 4, row}, type).permute({0, 2, 3, 1}).narrow(2, 0, rows);
  const at::Tensor weight = made({4, channels, rank}, real), bias = made({4, channels}, real);
  const at::Tensor a = made({4 * channels, states}, real), d = made({4 * channels}, real);
  cuda::scan2d_forward(x, projection, weight, bias, a, d, type);
  cuda::scan2d_backward(x, x, projection, weight, bias, a, d);
}

void selective_scan(
    int64_t channels, int64_t groups, int64_t states, int64_t length, at::ScalarType type, bool gates) {
  const at::ScalarType real = wide(type);
  const at::Tensor u = made({2, channels, length}, type), b = made({2, groups, states, length}, type);
  const std::vector<at::Tensor> inputs = {
      u, u, made({channels, states}, real), b, b, made({channels}, real), gates ? u : at::Tensor(),
      made({channels}, real)};
  cuda::selective_scan_forward(inputs, true);
  cuda::selective_scan_backward(made({2, channels, length}, real), inputs, true);
}

void depthwise(
    int64_t channels, int64_t side, int64_t window, int64_t stride, bool adds_input, int32_t activation,
    at::ScalarType type) {
  const at::Tensor x = map({2, channels, side, side}, type);
  const at::Tensor weight = made({channels, 1, window, window}, wide(type)), bias = made({channels}, wide(type));
  const at::Tensor y = cuda::depthwise(x, weight, bias, stride, window / 2, adds_input, activation);
  cuda::depthwise_backward(y, x, weight, bias, stride, window / 2, adds_input, activation);
}

void passes(int64_t channels, int64_t side, at::ScalarType type) {
  const at::Tensor x = map({2, channels, side, side}, type);
  const at::Tensor weight = made({channels}, wide(type));
  const auto norm = cuda::map_norm(x, weight, weight, 1e-5, type);
  cuda::map_norm_backward(norm[0], x, norm[1], weight);
  cuda::scaled_sum(x, weight, weight, x);
  cuda::scaled_sum_backward(x, x, weight);
  const std::vector<at::Tensor> maps = {x, x};
  const at::Tensor order = made({2 * channels}, at::kInt);
  for (const at::Tensor &chosen : {at::Tensor(), order}) {
    cuda::join_backward(cuda::join(maps, chosen), {channels, channels}, chosen);
  }
}

at::Tensor result(ct_tensor handle) {
  TORCH_CHECK(handle, std::string(failure));
  return adopt(handle);
}
ct_tensor handle(const at::Tensor &tensor) { return *reinterpret_cast<const ct_tensor *>(&tensor); }

void attention(at::ScalarType type) {
  const at::Tensor x = made({2, 12, 12}, type).requires_grad_();
  const at::Tensor y = result(launched_group_softmax(handle(x), 4, 0.5));
  y.backward(at::zeros_like(y));
  const at::Tensor sums = map({2, 12, 9, 9}, type), bias = made({12}, wide(type));
  result(launched_bias_activation(handle(sums), handle(bias), 4));
}

// An odd size of each operator in every type, and what SparX-Mamba, VMamba and Vision Mamba use in half width. Each differs
// from the others in what a kernel is compiled for: compiling takes its time.
void everything() {
  for (const at::ScalarType type : {at::kFloat, at::kHalf, at::kBFloat16, at::kDouble}) {
    scan2d(12, 5, 11, 3, 2, type);
    selective_scan(12, 2, 3, 55, type, true);
    depthwise(7, 9, 3, 1, true, 2, type);
    passes(7, 9, type);
    attention(type);
  }
  passes(96, 56, at::kFloat);
  passes(96, 56, at::kHalf);
  depthwise(96, 28, 3, 2, false, 0, at::kHalf);
  depthwise(96, 28, 5, 1, false, 4, at::kFloat);
  // The first and the last stage: large maps of few channels, and the reverse.
  for (int stage : {0, 3}) {
    const int64_t channels = 96 << stage, side = 56 >> stage;
    scan2d(channels, side, side, 6 << stage, 1, at::kHalf);
    depthwise(channels, side, stage == 0 ? 7 : 3, 1, true, 0, at::kHalf);
  }
  scan2d(96, 128, 128, 6, 1, at::kHalf);
  selective_scan(384, 1, 16, 197, at::kHalf, true);
}

}  // namespace

const char *cuda_launches(
    int32_t multiprocessors, int32_t shared_bytes, void (*take)(const char *, const char *, void *), void *context) {
  taken = take, taker = context;
  device = {};
  device.multiprocessors = multiprocessors, device.shared_bytes = shared_bytes;
  try {
    everything();
  } catch (const c10::Error &error) {
    failure = error.what_without_backtrace();
    return failure.c_str();
  }
  return nullptr;
}

namespace {

at::Tensor filled(at::IntArrayRef sizes, double low, double high, uint64_t seed) {
  return adopt(ct_uniform_fill(sizes.data(), static_cast<int32_t>(sizes.size()), seed, low, high));
}

double error(const at::Tensor &found, const at::Tensor &expected) {
  TORCH_CHECK(found.sizes() == expected.sizes(), "expected ", expected.sizes(), ", got ", found.sizes());
  const at::Tensor difference = (found.to(at::kDouble) - expected.to(at::kDouble)).abs().max();
  return (difference / expected.to(at::kDouble).abs().max().clamp_min(1e-30)).item<double>();
}

// Both sides compute with what the type holds of the numbers.
at::Tensor held(const at::Tensor &tensor, at::ScalarType type) { return tensor.to(type).to(at::kDouble); }

double computed_scan2d(int which, at::ScalarType type, int64_t batch, int64_t channels, int64_t side, int64_t rank) {
  const int64_t rows = rank + 2, row = (rows + 7) / 8 * 8, pixels = side * side;
  const at::ScalarType real = wide(type);
  const at::Tensor x = filled({batch, channels, side, side}, -1, 1, 1).to(type).contiguous(channels_last);
  at::Tensor memory = at::zeros({batch, pixels, 4, row}, at::dtype(type));
  memory.narrow(3, 0, rows).copy_(filled({batch, pixels, 4, rows}, -1, 1, 2));
  const at::Tensor projection = memory.permute({0, 2, 3, 1}).narrow(2, 0, rows);
  const at::Tensor weight = filled({4, channels, rank}, -0.7, 0.7, 3).to(real), bias = filled({4, channels}, -2, 0, 4).to(real);
  const at::Tensor a = filled({4 * channels, 1}, -2, -0.5, 5).to(real), d = filled({4 * channels}, 0.5, 1.5, 6).to(real);
  const at::Tensor dy = filled({batch, channels, side, side}, -1, 1, 7).to(type).contiguous(channels_last);
  variable_list leaves;
  for (const at::Tensor &tensor :
       {held(x, type), held(projection, type).contiguous(), held(weight, real), held(bias, real), held(a, real), held(d, real)}) {
    leaves.push_back(tensor.contiguous().requires_grad_());
  }
  const at::Tensor y = adopt(ct_scan_2d(
      handle(leaves[0]), handle(leaves[1]), handle(leaves[2]), handle(leaves[3]), handle(leaves[4]), handle(leaves[5])));
  if (which == 0) return error(cuda::scan2d_forward(x, projection, weight, bias, a, d, type), y);
  const auto gradients = torch::autograd::grad({y}, leaves, {held(dy, type)});
  const auto found = cuda::scan2d_backward(dy, x, projection, weight, bias, a, d);
  return error(found[static_cast<size_t>(which - 1)], gradients[static_cast<size_t>(which - 1)]);
}

// A 3x3 convolution with its input added and GELU, and the passes around it.
double computed_map(int which, at::ScalarType type, int64_t batch, int64_t channels, int64_t side) {
  const at::ScalarType real = wide(type);
  const at::Tensor x = filled({batch, channels, side, side}, -1, 1, 1).to(type).contiguous(channels_last);
  const at::Tensor weight = filled({channels, 1, 3, 3}, -0.5, 0.5, 2).to(type).to(real);
  const at::Tensor scale = filled({channels}, 0.5, 1.5, 3).to(real), offset = filled({channels}, -1, 1, 4).to(real);
  const at::Tensor dy = filled({batch, channels, side, side}, -1, 1, 5).to(type).contiguous(channels_last);
  const at::Tensor exact = held(x, type).contiguous().requires_grad_(), w = held(weight, real).requires_grad_();
  const at::Tensor s = held(scale, real).requires_grad_(), o = held(offset, real).requires_grad_();
  const auto at_channels = [](const at::Tensor &tensor) { return tensor.reshape({1, -1, 1, 1}); };
  constexpr int64_t gelu = 2;
  if (which < 4) {
    const at::Tensor y = at::gelu(exact + at::conv2d(exact, w, o, 1, 1, 1, channels));
    if (which == 0) return error(cuda::depthwise(x, weight, offset, 1, 1, true, gelu), y);
    const auto expected = torch::autograd::grad({y}, {exact, w, o}, {held(dy, type)});
    const auto found = cuda::depthwise_backward(dy, x, weight, offset, 1, 1, true, gelu);
    return error(found[static_cast<size_t>(which - 1)], expected[static_cast<size_t>(which - 1)]);
  }
  if (which < 8) {
    const at::Tensor y = at::group_norm(exact, 1, s, o, 1e-5);
    const auto found = cuda::map_norm(x, scale, offset, 1e-5, type);
    if (which == 4) return error(found[0], y);
    const auto expected = torch::autograd::grad({y}, {exact, s, o}, {held(dy, type)});
    return error(
        cuda::map_norm_backward(dy, x, found[1], scale)[static_cast<size_t>(which - 5)],
        expected[static_cast<size_t>(which - 5)]);
  }
  if (which == 8) {
    return error(cuda::scaled_sum(x, scale, offset, dy), exact * at_channels(s) + at_channels(o) + held(dy, type));
  }
  const at::Tensor order = at::arange(2 * channels - 1, -1, -1, at::dtype(at::kInt));
  const at::Tensor joined = at::cat({held(x, type), held(dy, type)}, 1).flip({1});
  if (which == 9) return error(cuda::join({x, dy}, order), joined);
  const auto parts = cuda::join_backward(joined.to(type).contiguous(channels_last), {channels, channels}, order);
  return error(parts[1], held(dy, type));
}

double computed_selective_scan(
    int which, at::ScalarType type, int64_t channels, int64_t groups, int64_t states, int64_t length) {
  const at::ScalarType real = wide(type);
  constexpr int64_t batch = 2;
  const std::vector<at::Tensor> inputs = {
      filled({batch, channels, length}, -1, 1, 1).to(type),          filled({batch, channels, length}, -2, 1, 2).to(type),
      filled({channels, states}, -2, -0.1, 3).to(real),              filled({batch, groups, states, length}, -1, 1, 4).to(type),
      filled({batch, groups, states, length}, -1, 1, 5).to(type),    filled({channels}, -1, 1, 6).to(real),
      filled({batch, channels, length}, -2, 2, 7).to(type),          filled({channels}, 0, 0.5, 8).to(real)};
  variable_list leaves;
  for (const at::Tensor &input : inputs) leaves.push_back(held(input, input.scalar_type()).requires_grad_());
  ct_tensor last = nullptr;
  const at::Tensor y = adopt(ct_selective_scan(
      handle(leaves[0]), handle(leaves[1]), handle(leaves[2]), handle(leaves[3]), handle(leaves[4]), handle(leaves[5]),
      handle(leaves[6]), handle(leaves[7]), true, &last));
  const at::Tensor state = adopt(last);
  if (which < 2) {
    const auto found = cuda::selective_scan_forward(inputs, true);
    return error(found[static_cast<size_t>(which)], which == 0 ? y : state);
  }
  const at::Tensor dy = filled({batch, channels, length}, -1, 1, 9).to(real);
  const auto expected = torch::autograd::grad({y}, leaves, {held(dy, real)});
  const auto found = cuda::selective_scan_backward(dy, inputs, true);
  return error(found[static_cast<size_t>(which - 2)], expected[static_cast<size_t>(which - 2)]);
}

}  // namespace

namespace {

double compute(const std::function<double()> &body) {
  device = {};
  device.multiprocessors = 132, device.shared_bytes = 227 << 10;
  // Without a second-level cache, passes that take so many images at a time as fit it take few.
  device.l2_bytes = 0;
  failure.clear();
  computes = true;
  double result = -1;
  try {
    result = body();
  } catch (const c10::Error &error) {
    failure = error.what_without_backtrace();
  }
  computes = false;
  return result;
}

}  // namespace

double cuda_launches_scan2d_error(int32_t which, int32_t type, int32_t batch, int32_t channels, int32_t side, int32_t rank) {
  return compute([&] {
    return computed_scan2d(which, static_cast<at::ScalarType>(type), batch, channels, side, rank);
  });
}

double cuda_launches_selective_scan_error(
    int32_t which, int32_t type, int32_t channels, int32_t groups, int32_t states, int32_t length) {
  return compute([&] {
    return computed_selective_scan(which, static_cast<at::ScalarType>(type), channels, groups, states, length);
  });
}

double cuda_launches_map_error(int32_t which, int32_t type, int32_t batch, int32_t channels, int32_t side) {
  return compute([&] { return computed_map(which, static_cast<at::ScalarType>(type), batch, channels, side); });
}

const char *cuda_launches_failure(void) { return failure.c_str(); }
