// What the launchers of the CUDA kernels ask for, found without a GPU: they run on tensors in the processor's memory, and
// what they would compile is told instead.
#ifndef CUDA_LAUNCHES_H
#define CUDA_LAUNCHES_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma clang assume_nonnull begin

/// Calls `take` with a program and its macros, again and again the same too, for operators of the models' sizes, forwards
/// and backwards, on a GPU of that many multiprocessors and bytes of shared memory.
///
/// Returns null, or the sentence of a launcher that failed.
const char *_Nullable cuda_launches(
    int32_t multiprocessors, int32_t shared_bytes,
    void (*take)(const char *program, const char *macros, void *_Nullable context), void *_Nullable context);

/// Runs a launcher of the 2-D scan and the kernels that it starts, on the processor, and gives the largest error relative to
/// the largest value against the CPU's kernels in float64; negative where something fails.
///
/// `which`: 0 the output, 1 to 6 the gradients of x, projection, weight, bias, A and D. `type` is LibTorch's number of the type.
double cuda_launches_scan2d_error(
    int32_t which, int32_t type, int32_t batch, int32_t channels, int32_t side, int32_t rank);

/// The same of the selective scan of two sequences with gate, skip, bias and softplus. `which`: 0 the output, 1 the last state, 2 to 9
/// the gradients of u, delta, A, B, C, D, z and the bias.
double cuda_launches_selective_scan_error(
    int32_t which, int32_t type, int32_t channels, int32_t groups, int32_t states, int32_t length);

/// The same of the operators on maps. `which`: 0 a 3x3 depthwise convolution with bias, its input added and GELU, 1 to 3 the
/// gradients of x, weight and bias; 4 the norm of a map, 5 to 7 the gradients of x, weight and bias; 8 the scaled sum; 9 a join in
/// another order, 10 its inverse.
double cuda_launches_map_error(int32_t which, int32_t type, int32_t batch, int32_t channels, int32_t side);

/// Why the last one failed on this thread.
const char *cuda_launches_failure(void);

#pragma clang assume_nonnull end
#ifdef __cplusplus
}
#endif

#endif
