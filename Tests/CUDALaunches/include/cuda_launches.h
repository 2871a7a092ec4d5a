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

#pragma clang assume_nonnull end
#ifdef __cplusplus
}
#endif

#endif
