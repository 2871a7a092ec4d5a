#ifndef CSCAN_H
#define CSCAN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Selective scans on CPUs, over pointers and strides.
//
//   dt_t = softplus(delta_t + delta_bias)
//   h_t  = exp(dt_t A) h_{t-1} + dt_t B_t u_t,   h_0 = 0
//   y_t  = sum_n C_t[n] h_t[n] + D u_t
//
// Source: Gu and Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", 2023, section 3
// (equations 2 and 4, algorithm 2); the four directions: Liu et al., "VMamba: Visual State Space Model",
// 2024, section 4.3.
//
// Letters: B batch, D channels, G groups of B and C, K = 4 directions, L positions, N states per channel,
// R rank of dt.
//
// The arithmetic is double if u (or x) is CSCAN_FLOAT64, then every other tensor and parameter must be double
// too; otherwise it is float: tensors may each be any of the other three types, and parameters are float.
// For one instruction set, results do not depend on how `parallel` splits the work, to the bit. Scratch memory is allocated inside each task and
// given back at its end.

/// Element types of a tensor.
enum cscan_type { CSCAN_FLOAT32 = 0, CSCAN_FLOAT64 = 1, CSCAN_FLOAT16 = 2, CSCAN_BFLOAT16 = 3 };

/// What an entry point returns.
enum cscan_status {
  CSCAN_OK = 0,
  CSCAN_INVALID_SHAPE = 1,
  CSCAN_INVALID_TYPE = 2,
  CSCAN_MISSING_TENSOR = 3,
  CSCAN_OUT_OF_MEMORY = 4,
  CSCAN_UNKNOWN_CAPABILITY = 5,
  CSCAN_INVALID_ORDER = 6
};

/// A strided array. `strides` are in elements, in the order of the dimensions named beside each use; unused
/// ones are ignored. Tensors that are read are never written. A tensor whose `data` is null is absent.
typedef struct {
  void *data;
  int32_t type;
  int64_t strides[4];
} cscan_tensor;

/// Runs `task` on disjoint ranges that cover [0, count), possibly at the same time, and returns after the last.
typedef void (*cscan_task_fn)(void *context, int64_t begin, int64_t end);
typedef void (*cscan_parallel_fn)(int64_t count, cscan_task_fn task, void *context);

/// Inputs of the one-dimensional scan. Parameters are contiguous; null ones are absent.
typedef struct {
  int64_t batch, channels, groups, state, length;
  int32_t softplus;        ///< whether dt = softplus(delta + delta_bias); else dt = delta + delta_bias
  cscan_tensor u;          ///< [B, D, L]
  cscan_tensor delta;      ///< [B, D, L]
  cscan_tensor b;          ///< [B, G, N, L]; channel d reads group d / (D / G)
  cscan_tensor c;          ///< [B, G, N, L]
  cscan_tensor z;          ///< [B, D, L], optional: the output becomes y * silu(z)
  const void *a;           ///< [D, N]
  const void *d;           ///< [D], optional
  const void *delta_bias;  ///< [D], optional
} cscan_selective_scan;

/// Gradients of the one-dimensional scan. Any output may be absent; all present ones are overwritten.
typedef struct {
  cscan_tensor y;      ///< [B, D, L], read: the gradient of the output
  cscan_tensor u;      ///< [B, D, L]
  cscan_tensor delta;  ///< [B, D, L]
  cscan_tensor b;      ///< [B, G, N, L]
  cscan_tensor c;      ///< [B, G, N, L]
  cscan_tensor z;      ///< [B, D, L]
  void *a;             ///< [D, N], contiguous
  void *d;             ///< [D], contiguous
  void *delta_bias;    ///< [D], contiguous
} cscan_selective_scan_gradient;

/// Writes `y` [B, D, L] and, unless it is null, the state after the last position, `last_state` [B, D, N]
/// contiguous. `parallel` may be null: then the work runs on the calling thread.
int32_t cscan_selective_scan_forward(
    const cscan_selective_scan *scan, cscan_tensor y, void *last_state, cscan_parallel_fn parallel);

/// Writes the gradients that are present. States are computed again: nothing is kept from the forward pass.
int32_t cscan_selective_scan_backward(const cscan_selective_scan *scan,
    const cscan_selective_scan_gradient *gradient, cscan_parallel_fn parallel);

/// Inputs of the two-dimensional scan in four directions: 0 along rows, 1 along columns, 2 and 3 the reverses
/// of 0 and 1. In `projection`, direction k owns the rows k (R + 2N) onwards: R of low-rank dt, N of B, N of
/// C, over the pixel p = h W + w. The steps are
/// delta[k, d, p] = softplus(sum_r dt_weight[k, d, r] dt[k, r, p] + dt_bias[k, d]).
typedef struct {
  int64_t batch, channels, height, width, state, rank;
  cscan_tensor x;           ///< [B, D, H, W]
  cscan_tensor projection;  ///< [B, K (R + 2N), H W]
  const void *dt_weight;    ///< [K, D, R], contiguous
  const void *dt_bias;      ///< [K, D], contiguous
  const void *a;            ///< [K D, N], contiguous (negative for a stable scan)
  const void *d;            ///< [K D], contiguous
} cscan_ss2d;

/// Gradients of the two-dimensional scan. Any output may be absent; all present ones are overwritten.
typedef struct {
  cscan_tensor y;           ///< [B, D, H, W], read: the gradient of the output
  cscan_tensor x;           ///< [B, D, H, W]: through u and D only, not through `projection`
  cscan_tensor projection;  ///< [B, K (R + 2N), H W]
  void *dt_weight;          ///< [K, D, R], contiguous
  void *dt_bias;            ///< [K, D], contiguous
  void *a;                  ///< [K D, N], contiguous
  void *d;                  ///< [K D], contiguous
} cscan_ss2d_gradient;

/// Writes `y` [B, D, H, W], the sum of the four directions, each put back in its place.
int32_t cscan_ss2d_forward(const cscan_ss2d *scan, cscan_tensor y, cscan_parallel_fn parallel);

/// Writes the gradients that are present. States are computed again: nothing is kept from the forward pass.
int32_t cscan_ss2d_backward(
    const cscan_ss2d *scan, const cscan_ss2d_gradient *gradient, cscan_parallel_fn parallel);

/// The instruction set that the calling thread uses: "avx512", "avx2" or "portable". The environment's
/// GANGLION_CPU_KERNELS may name one of them; otherwise it is the best that the machine has.
const char *cscan_capability(void);

/// Chooses the instruction set by name; null or "" means the best one present. Not to be called while a scan
/// runs. Returns CSCAN_UNKNOWN_CAPABILITY, and changes nothing, if this machine or build lacks it.
int32_t cscan_set_capability(const char *name);

/// One sentence about a status.
const char *cscan_error_message(int32_t status);

#ifdef __cplusplus
}
#endif

#endif
