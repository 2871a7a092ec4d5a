#pragma once

#include "cmap.h"
#include "cscan.h"

// The kernels are one body of code (kernel/), compiled once for each instruction set; these are its entry
// points. They trust their arguments: dispatch.cpp checks them.
struct Variant {
  const char *name;
  int32_t (*selective_scan_forward)(const cscan_selective_scan &, cscan_tensor, void *, cscan_parallel_fn);
  int32_t (*selective_scan_backward)(
      const cscan_selective_scan &, const cscan_selective_scan_gradient &, cscan_parallel_fn);
  int32_t (*ss2d_forward)(const cscan_ss2d &, cscan_tensor, cscan_parallel_fn);
  int32_t (*ss2d_backward)(const cscan_ss2d &, const cscan_ss2d_gradient &, cscan_parallel_fn);
  int32_t (*depthwise)(const cmap_depthwise &, void *, cscan_parallel_fn);
  int32_t (*norm)(const cmap_norm &, void *, cscan_parallel_fn);
  int32_t (*scaled_sum)(const cmap_scaled_sum &, void *, cscan_parallel_fn);
  int32_t (*join)(const cmap_join &, void *, cscan_parallel_fn);
};

// That of the calling thread.
const Variant &variant_in_use();

extern const Variant portable_variant;
#if defined(__x86_64__)
extern const Variant avx2_variant;
extern const Variant avx512_variant;
#endif
