// What both passes of the 2-D scan on NVIDIA GPUs ask of their operands; defined in cuda_scan2d.cpp.
#pragma once
#include <optional>

#include "cuda.h"

namespace ctorch::cuda::scan2d {

struct Operands {
  at::Tensor x, projection, weight, bias, a, d;
  int64_t batch() const { return x.size(0); }
  int64_t channels() const { return x.size(1); }
  int64_t height() const { return x.size(2); }
  int64_t width() const { return x.size(3); }
  int64_t rank() const { return weight.size(2); }
  int64_t state() const { return a.size(1); }
};

// Operands on one GPU, of sizes that agree, and parameters contiguous and of the arithmetic's type. Errors begin with
// `where`, which names the operator.
void check(
    const char *where, const at::Tensor &x, const at::Tensor &projection, const at::Tensor &weight,
    const at::Tensor &bias, const at::Tensor &a, const at::Tensor &d);
void check_operand(
    const char *where, const char *name, const at::Tensor &tensor, at::IntArrayRef sizes, const at::Tensor &x);

// To whole 16 bytes.
bool is_aligned(const at::Tensor &tensor);

// The distance of pixels that follow each other, of a map with neighbouring channels whose pixels lie one after the
// other, in whole 16 bytes of a type of 2.
std::optional<int64_t> pixel_stride(const at::Tensor &map);

// Whether each pixel of a projection [B, 4, R + 2, L] has its four rows one after the other, each filled up to whole 16
// bytes that may be read.
bool has_whole_rows(const at::Tensor &projection);

}  // namespace ctorch::cuda::scan2d
