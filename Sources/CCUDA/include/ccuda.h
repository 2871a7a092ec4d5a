// Kernels for NVIDIA GPUs, compiled at run time: the driver and NVRTC are found when they are asked for, so nothing here
// needs them to build or to start. Knows neither LibTorch nor Swift.
//
// Every entry may be called from any thread. After a failure `ccuda_last_error` has this thread's sentence.
#ifndef CCUDA_H
#define CCUDA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma clang assume_nonnull begin

const char *ccuda_last_error(void);

// ---- the driver

/// Whether NVIDIA's driver is installed, which does not say that a GPU can be used.
bool ccuda_has_driver(void);

/// The GPUs that the driver shows; 0 without a driver, and then `ccuda_last_error` says what is missing.
int32_t ccuda_device_count(void);

typedef struct {
  char name[128];
  int32_t major, minor;                 // compute capability
  int32_t multiprocessors;
  int32_t clock_kilohertz, memory_clock_kilohertz;
  int32_t driver;                       // CUDA version of the driver, 1000 major + 10 minor
  int64_t memory_bytes, l2_bytes;
  int32_t shared_bytes;                 // the most shared memory of one block
} ccuda_device;

/// Facts about a GPU. Returns 0, or -1.
int32_t ccuda_describe(int32_t device, ccuda_device *facts);

// ---- programs

/// A program of `kernels/`: the file's name without its ending.
int32_t ccuda_program_count(void);
const char *ccuda_program_name(int32_t index);

/// The version of NVRTC, such as 13.0; null without it, and then `ccuda_last_error` says where it was looked for.
const char *_Nullable ccuda_compiler_version(void);

/// Where LibTorch's libraries are: NVRTC is looked for beside them first.
void ccuda_set_library_folder(const char *folder);

/// The machine code of a program for an architecture such as "sm_90"; free() it. Null on failure; the sentence then holds
/// the compiler's log. Not from the cache.
void *_Nullable ccuda_compile(
    const char *program, const char *macros, const char *architecture, size_t *byte_count);

/// The same by way of the cache, as for a GPU of that architecture.
void *_Nullable ccuda_load_code(
    const char *program, const char *macros, const char *architecture, size_t *byte_count);

/// The folder that compiled kernels are kept in: GANGLION_KERNEL_CACHE, or ganglion/kernels in the user's cache.
const char *ccuda_cache_folder(void);
/// Whether it can be written; otherwise each process compiles anew.
bool ccuda_cache_is_writable(void);
/// How many kernels this process compiled and how many it took from the folder.
void ccuda_cache_counts(int64_t *compiled, int64_t *found);
/// Calls `notice` before this process compiles its first kernel for the folder, on the thread that does.
void ccuda_before_compiling(void (*_Nullable notice)(void));

// ---- launches

typedef struct ccuda_kernel_s *ccuda_kernel;

/// The kernel `entry` of `program` with `macros` ("NAME=VALUE" with blanks between), ready on the GPU: from memory, from
/// the cache's folder, or compiled. `shared_bytes` of dynamic shared memory are allowed to its blocks.
ccuda_kernel _Nullable ccuda_find_kernel(
    int32_t device, const char *program, const char *entry, const char *macros, int64_t shared_bytes);

/// Starts a kernel on a stream; `arguments` are the addresses of its parameters. Returns 0, or -1.
int32_t ccuda_launch(
    ccuda_kernel kernel, const uint32_t grid[_Nonnull 3], const uint32_t block[_Nonnull 3], int64_t shared_bytes,
    void *_Nullable stream, void *_Nonnull *_Nonnull arguments);

/// Registers of a thread, bytes of local memory of a thread, and static shared memory of a block.
int32_t ccuda_resources(ccuda_kernel kernel, int32_t *registers, int32_t *local_bytes, int32_t *shared_bytes);

#pragma clang assume_nonnull end
#ifdef __cplusplus
}
#endif

#endif
