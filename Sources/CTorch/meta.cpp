// Shapes without elements: what tensors on the meta device need and LibTorch's C++ library leaves to Python.
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

namespace {

at::Tensor convolution(
    const at::Tensor &input, const at::Tensor &weight, const std::optional<at::Tensor> &, c10::SymIntArrayRef stride,
    c10::SymIntArrayRef padding, c10::SymIntArrayRef dilation, bool transposed, c10::SymIntArrayRef output_padding,
    c10::SymInt groups) {
  std::vector<c10::SymInt> sizes{
      input.sym_size(0), transposed ? weight.sym_size(1) * groups : weight.sym_size(0)};
  for (int64_t i = 2; i < input.dim(); i++) {
    const auto axis = static_cast<size_t>(i - 2);
    const c10::SymInt reach = dilation[axis] * (weight.sym_size(i) - 1);
    sizes.push_back(
        transposed ? (input.sym_size(i) - 1) * stride[axis] - 2 * padding[axis] + reach + output_padding[axis] + 1
                   : (input.sym_size(i) + 2 * padding[axis] - reach - 1) / stride[axis] + 1);
  }
  return at::empty_symint(sizes, input.options());
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> native_batch_norm(
    const at::Tensor &input, const std::optional<at::Tensor> &, const std::optional<at::Tensor> &,
    const std::optional<at::Tensor> &, const std::optional<at::Tensor> &, bool training, double, double) {
  const int64_t statistics = training ? input.size(1) : 0;
  return {
      at::empty_like(input), at::empty({statistics}, input.options()), at::empty({statistics}, input.options())};
}

at::Tensor adaptive_avg_pool2d(const at::Tensor &input, c10::SymIntArrayRef size) {
  auto sizes = input.sym_sizes().vec();
  std::copy(size.begin(), size.end(), sizes.end() - 2);
  return at::empty_symint(sizes, input.options());
}

at::Tensor relu(const at::Tensor &input) { return at::empty_like(input); }

at::Tensor roll(const at::Tensor &input, c10::SymIntArrayRef, at::IntArrayRef) { return at::empty_like(input); }

at::Tensor flip(const at::Tensor &input, at::IntArrayRef) { return at::empty_like(input); }
at::Tensor index_select(const at::Tensor &input, int64_t dimension, const at::Tensor &indices) {
  auto sizes = input.sym_sizes().vec();
  sizes[static_cast<size_t>(dimension < 0 ? dimension + input.dim() : dimension)] = indices.sym_numel();
  return at::empty_symint(sizes, input.options());
}

at::Tensor safe_softmax(const at::Tensor &input, int64_t, std::optional<at::ScalarType> dtype) {
  return at::empty_like(input, input.options().dtype(dtype.value_or(input.scalar_type())));
}

}  // namespace

TORCH_LIBRARY_IMPL(aten, Meta, library) {
  library.impl("convolution", convolution);
  library.impl("native_batch_norm", native_batch_norm);
  library.impl("_adaptive_avg_pool2d", adaptive_avg_pool2d);
  library.impl("relu", relu);
  library.impl("roll", roll);
  library.impl("flip", flip);
  library.impl("index_select", index_select);
  library.impl("_safe_softmax", safe_softmax);
}
