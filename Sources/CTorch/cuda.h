// Launching our own CUDA kernels on LibTorch's tensors, and the operators made of them.
#pragma once
#include <array>
#include <string>

#include "ccuda.h"
#include "internal.h"

namespace ctorch::cuda {

struct Extent {
  uint32_t x = 1, y = 1, z = 1;
};

// The macro ELEMENT of kernels/prelude.cuh.
inline int element(at::ScalarType type) {
  switch (type) {
    case at::kFloat: return 0;
    case at::kHalf: return 1;
    case at::kBFloat16: return 2;
    case at::kDouble: return 3;
    default: TORCH_CHECK(false, "our CUDA kernels take float32, float16, bfloat16 or float64, got ", type);
  }
}

// "NAME=VALUE" for each macro, with blanks between.
class Macros {
 public:
  Macros &set(const char *name, int64_t value) {
    text_ += text_.empty() ? "" : " ";
    text_ += name;
    text_ += '=';
    text_ += std::to_string(value);
    return *this;
  }
  const std::string &text() const { return text_; }

 private:
  std::string text_;
};

// The kernel for the tensor's device; compiles it where neither memory nor the folder of kernels has it.
ccuda_kernel kernel(
    const at::Tensor &on, const char *program, const char *entry, const Macros &macros, int64_t shared_bytes = 0);

void launch(const at::Tensor &on, ccuda_kernel kernel, Extent grid, Extent block, int64_t shared_bytes, void **arguments);

// Starts a kernel on LibTorch's current stream of the tensor's device. The arguments have exactly the types of the
// kernel's parameters; a struct of the same layout stands for a struct.
template <class... Arguments>
void launch(
    const at::Tensor &on, ccuda_kernel function, Extent grid, Extent block, int64_t shared_bytes,
    const Arguments &...arguments) {
  void *addresses[] = {const_cast<void *>(static_cast<const void *>(&arguments))...};
  launch(on, function, grid, block, shared_bytes, addresses);
}

// Facts of the tensor's device.
const ccuda_device &facts(const at::Tensor &on);

// ---- operators; what they compute stands in ctorch.h and cscan.h. All operands live on one GPU.

// cuda_scan2d.cpp. x [B, D, H, W] in any strides; projection [B, 4, R + 2N, L] in any strides; parameters float32 (float64
// for float64) and contiguous: weight [4, D, R], bias [4, D], a [4D, N], d [4D]. y has x's strides if those are dense, and
// the type `output`.
at::Tensor scan2d_forward(
    const at::Tensor &x, const at::Tensor &projection, const at::Tensor &weight, const at::Tensor &bias,
    const at::Tensor &a, const at::Tensor &d, at::ScalarType output);

// cuda_scan2d_backward.cpp. Gradients of x, projection, weight, bias, a and d, in that order, of the gradient `dy` of y.
// The gradient of the projection has its strides.
std::vector<at::Tensor> scan2d_backward(
    const at::Tensor &dy, const at::Tensor &x, const at::Tensor &projection, const at::Tensor &weight,
    const at::Tensor &bias, const at::Tensor &a, const at::Tensor &d);

// cuda_scan2d_backward_fast.cpp. The same for one state, x, dy and projection in one type of 16 bits, maps channels last whose
// planes fit shared memory, and rows filled up to whole 16 bytes, [B, L, 4, row] in memory; false if they are not such.
bool scan2d_backward_fast(
    const at::Tensor &dy, const at::Tensor &x, const at::Tensor &projection, const at::Tensor &weight,
    const at::Tensor &bias, const at::Tensor &a, const at::Tensor &d, std::vector<at::Tensor> &out);

// cuda_selective_scan.cpp. The order of inputs is u, delta, a, b, c, d, z, delta_bias; d, z and delta_bias may be
// undefined. Gives y [B, D, L] and the last state [B, D, N] in float32 (float64 for float64).
std::vector<at::Tensor> selective_scan_forward(const std::vector<at::Tensor> &inputs, bool softplus);
// Gradients of the eight inputs, undefined where the input is.
std::vector<at::Tensor> selective_scan_backward(
    const at::Tensor &dy, const std::vector<at::Tensor> &inputs, bool softplus);

// cuda_maps.cpp, on maps [B, C, H, W] stored channels last. Activations are those of cmap.h.
// activation(conv(x) + bias [+ x]); weight [C, 1, k, k] and bias [C] in float32 or x's type.
at::Tensor depthwise(
    const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias, int64_t stride, int64_t padding,
    bool adds_input, int32_t activation);
// Gradients of x, weight and bias (undefined if there was none) of a depthwise convolution. With an activation, the sum
// before it is computed again.
std::vector<at::Tensor> depthwise_backward(
    const at::Tensor &dy, const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias, int64_t stride,
    int64_t padding, bool adds_input, int32_t activation);
// The group norm of one group, in the type `output`, and the statistics [B, 2] (mean, 1 / deviation) in float32.
std::vector<at::Tensor> map_norm(
    const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias, double epsilon, at::ScalarType output);
// Gradients of x, weight and bias.
std::vector<at::Tensor> map_norm_backward(
    const at::Tensor &dy, const at::Tensor &x, const at::Tensor &statistics, const at::Tensor &weight);
// scale [C] * shortcut + offset [C] + branch, where scale and offset may both be undefined.
at::Tensor scaled_sum(
    const at::Tensor &shortcut, const at::Tensor &scale, const at::Tensor &offset, const at::Tensor &branch);
// Gradients of shortcut, scale and offset; that of the branch is `dy`.
std::vector<at::Tensor> scaled_sum_backward(const at::Tensor &dy, const at::Tensor &shortcut, const at::Tensor &scale);
// Maps joined along channels; channel j of the result is channel order[j] (int32) of the joined, if order is defined.
at::Tensor join(const std::vector<at::Tensor> &maps, const at::Tensor &order);
// Gradients of maps of so many channels: the inverse of `join`.
std::vector<at::Tensor> join_backward(
    const at::Tensor &dy, const std::vector<int64_t> &channels, const at::Tensor &order);

}  // namespace ctorch::cuda
