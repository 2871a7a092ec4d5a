#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "variant.h"

// Checks the arguments of the scans and hands them to the kernels of the instruction set in use.

namespace {

const Variant *find(const char *name) {
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  const Variant *const present[] = {
      avx512 ? &avx512_variant : nullptr, avx2 ? &avx2_variant : nullptr, &portable_variant};
#else
  const Variant *const present[] = {&portable_variant};
#endif
  for (const Variant *variant : present) {
    if (variant && (!name || !*name || std::strcmp(name, variant->name) == 0)) return variant;
  }
  return nullptr;
}

// Of the thread that calls an entry: one that measures or tests another set does not disturb the others.
const Variant *&chosen() {
  static const Variant *const wanted = find(std::getenv("GANGLION_CPU_KERNELS"));
  static thread_local const Variant *variant = wanted ? wanted : find(nullptr);
  return variant;
}

// Whether every tensor that is present can take part in the arithmetic that `type` asks for.
bool agree(int32_t type, std::initializer_list<const cscan_tensor *> tensors) {
  for (const cscan_tensor *tensor : tensors) {
    if (!tensor->data) continue;
    if (tensor->type < CSCAN_FLOAT32 || tensor->type > CSCAN_BFLOAT16) return false;
    if ((tensor->type == CSCAN_FLOAT64) != (type == CSCAN_FLOAT64)) return false;
  }
  return true;
}

// Positions are counted in 32 bits.
constexpr int64_t longest = INT32_MAX - 64;

int32_t check(const cscan_selective_scan &scan) {
  if (scan.batch < 0 || scan.channels < 1 || scan.groups < 1 || scan.channels % scan.groups ||
      scan.state < 1 || scan.length < 1 || scan.length > longest) {
    return CSCAN_INVALID_SHAPE;
  }
  if (!scan.a) return CSCAN_MISSING_TENSOR;
  if (scan.batch && (!scan.u.data || !scan.delta.data || !scan.b.data || !scan.c.data))
    return CSCAN_MISSING_TENSOR;
  return agree(scan.u.type, {&scan.u, &scan.delta, &scan.b, &scan.c, &scan.z}) ? CSCAN_OK
                                                                               : CSCAN_INVALID_TYPE;
}

int32_t check(const cscan_ss2d &scan) {
  if (scan.batch < 0 || scan.channels < 1 || scan.height < 1 || scan.width < 1 || scan.state < 1 ||
      scan.rank < 1 || scan.height > longest / scan.width) {
    return CSCAN_INVALID_SHAPE;
  }
  if (!scan.dt_weight || !scan.dt_bias || !scan.a || !scan.d) return CSCAN_MISSING_TENSOR;
  if (scan.batch && (!scan.x.data || !scan.projection.data)) return CSCAN_MISSING_TENSOR;
  return agree(scan.x.type, {&scan.x, &scan.projection}) ? CSCAN_OK : CSCAN_INVALID_TYPE;
}

}  // namespace

const Variant &variant_in_use() { return *chosen(); }

int32_t cscan_selective_scan_forward(
    const cscan_selective_scan *scan, cscan_tensor y, void *last_state, cscan_parallel_fn parallel) {
  if (const int32_t status = check(*scan)) return status;
  if (!scan->batch) return CSCAN_OK;
  if (!y.data) return CSCAN_MISSING_TENSOR;
  if (!agree(scan->u.type, {&y})) return CSCAN_INVALID_TYPE;
  return variant_in_use().selective_scan_forward(*scan, y, last_state, parallel);
}

int32_t cscan_selective_scan_backward(const cscan_selective_scan *scan,
    const cscan_selective_scan_gradient *gradient, cscan_parallel_fn parallel) {
  if (const int32_t status = check(*scan)) return status;
  if (scan->batch && !gradient->y.data) return CSCAN_MISSING_TENSOR;
  if (!agree(scan->u.type,
          {&gradient->y, &gradient->u, &gradient->delta, &gradient->b, &gradient->c, &gradient->z})) {
    return CSCAN_INVALID_TYPE;
  }
  return variant_in_use().selective_scan_backward(*scan, *gradient, parallel);
}

int32_t cscan_ss2d_forward(const cscan_ss2d *scan, cscan_tensor y, cscan_parallel_fn parallel) {
  if (const int32_t status = check(*scan)) return status;
  if (!scan->batch) return CSCAN_OK;
  if (!y.data) return CSCAN_MISSING_TENSOR;
  if (!agree(scan->x.type, {&y})) return CSCAN_INVALID_TYPE;
  return variant_in_use().ss2d_forward(*scan, y, parallel);
}

int32_t cscan_ss2d_backward(
    const cscan_ss2d *scan, const cscan_ss2d_gradient *gradient, cscan_parallel_fn parallel) {
  if (const int32_t status = check(*scan)) return status;
  if (scan->batch && !gradient->y.data) return CSCAN_MISSING_TENSOR;
  if (!agree(scan->x.type, {&gradient->y, &gradient->x, &gradient->projection})) return CSCAN_INVALID_TYPE;
  return variant_in_use().ss2d_backward(*scan, *gradient, parallel);
}

const char *cscan_capability(void) { return variant_in_use().name; }

int32_t cscan_set_capability(const char *name) {
  const Variant *found = find(name);
  if (!found) return CSCAN_UNKNOWN_CAPABILITY;
  chosen() = found;
  return CSCAN_OK;
}

const char *cscan_error_message(int32_t status) {
  switch (status) {
    case CSCAN_OK: return "no error";
    case CSCAN_INVALID_SHAPE:
      return "every size must be at least 1 (the batch 0), groups must divide the channels, and there may be "
             "at most 2^31 - 65 "
             "positions";
    case CSCAN_INVALID_TYPE:
      return "tensors must all be float64, or each one of float32, float16 and bfloat16";
    case CSCAN_MISSING_TENSOR: return "a required tensor or parameter is null";
    case CSCAN_OUT_OF_MEMORY: return "not enough memory for the scan's scratch space";
    case CSCAN_UNKNOWN_CAPABILITY: return "this machine or build has no such instruction set";
    case CSCAN_INVALID_ORDER: return "the order names a channel that is not there";
    default: return "unknown status";
  }
}
