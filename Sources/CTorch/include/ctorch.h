// Plain-C interface over LibTorch. A `ct_tensor` owns one reference of a tensor; whoever receives one from a
// function here releases it. Every entry catches every C++ exception: a null handle or a non-zero status means
// failure, and `ct_last_error` holds the sentence of this thread's last one.
#ifndef CTORCH_H
#define CTORCH_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif
#pragma clang assume_nonnull begin

typedef struct ct_tensor_s *ct_tensor;
typedef struct ct_operator_s *ct_operator;
typedef struct ct_generator_s *ct_generator;

// ---- errors
const char *ct_last_error(void);
void ct_set_last_error(const char *message);

// An error scope of this thread: the first failure is kept, later tensor operations return a poisoned tensor
// (one NaN) without running, until the scope is left.
void ct_scope_enter(void);
// Leaves the innermost scope; returns its first failure (to be freed with free()) or null.
char *_Nullable ct_scope_leave(void);
bool ct_scope_active(void);
bool ct_scope_failed(void);
void ct_scope_fail(const char *message);

// ---- life of a handle
void ct_release(ct_tensor tensor);
ct_tensor ct_retain(ct_tensor tensor);
ct_tensor _Nullable ct_poisoned(void);

// ---- description of a tensor
int32_t ct_rank(ct_tensor tensor);
int64_t ct_size(ct_tensor tensor, int32_t dimension);
int64_t ct_stride(ct_tensor tensor, int32_t dimension);
int64_t ct_count(ct_tensor tensor);
int32_t ct_dtype(ct_tensor tensor);
int32_t ct_device_type(ct_tensor tensor);
int32_t ct_device_index(ct_tensor tensor);
bool ct_is_contiguous(ct_tensor tensor, int32_t memory_format);
bool ct_is_same(ct_tensor a, ct_tensor b);

// ---- values in and out
ct_tensor _Nullable ct_from_bytes(const void *_Nullable bytes, const int64_t *_Nullable sizes, int32_t rank, int32_t dtype);
// A CPU tensor whose elements are not set yet.
ct_tensor _Nullable ct_empty(const int64_t *_Nullable sizes, int32_t rank, int32_t dtype);
// float32 numbers low + (high - low) u, where u are the upper 24 bits of SplitMix64 started at `state`, over 2^24.
ct_tensor _Nullable ct_uniform_fill(
    const int64_t *_Nullable sizes, int32_t rank, uint64_t state, double low, double high);
// Copies the elements of a CPU tensor, in row-major order whatever its strides, into `bytes` of exactly `length` bytes.
int32_t ct_copy_out(ct_tensor tensor, void *_Nullable bytes, int64_t length);
// The address of the first element of a CPU tensor, valid while the tensor lives.
void *_Nullable ct_data(ct_tensor tensor);
int32_t ct_item(ct_tensor tensor, double *out);
int32_t ct_item_int(ct_tensor tensor, int64_t *out);

// ---- operators, by schema name
enum {
  CT_DEFAULT = 0, CT_NONE = 1, CT_TENSOR = 2, CT_INT = 3, CT_DOUBLE = 4, CT_BOOL = 5, CT_INTS = 6, CT_DOUBLES = 7,
  CT_BOOLS = 8, CT_TENSORS = 9, CT_OPTIONAL_TENSORS = 10, CT_STRING = 11, CT_DEVICE = 12, CT_GENERATOR = 13,
  CT_NUMBERS = 14,  // of a list whose entries may be absent
};
typedef union {
  int64_t integer;
  double real;
  const void *_Nullable pointer;
} ct_payload;
typedef struct {
  int32_t tag;
  int32_t count;
  ct_payload value;
} ct_value;

ct_operator _Nullable ct_find_operator(const char *name, const char *overload);
// Runs an operator. Returns the number of results, written to `results`, or -1. A list of tensors comes back as
// CT_TENSORS with a malloc'ed array of owned handles, an undefined tensor as CT_NONE.
int32_t ct_call(ct_operator op, const ct_value *_Nullable arguments, int32_t count, ct_value *results, int32_t capacity);

// ---- random numbers
ct_generator _Nullable ct_generator_create(uint64_t seed, int32_t device_type, int32_t device_index);
void ct_generator_release(ct_generator generator);
int32_t ct_generator_seed(ct_generator generator, uint64_t seed);

// ---- autograd
int32_t ct_set_requires_grad(ct_tensor tensor, bool value);
bool ct_requires_grad(ct_tensor tensor);
bool ct_is_leaf(ct_tensor tensor);
ct_tensor _Nullable ct_grad(ct_tensor tensor);
int32_t ct_set_grad(ct_tensor tensor, ct_tensor _Nullable gradient);
int32_t ct_backward(ct_tensor tensor, ct_tensor _Nullable gradient, bool retain_graph);
// Gradients of `outputs` with respect to `inputs`; a null entry means "no gradient".
int32_t ct_gradients(
    const ct_tensor _Nonnull *_Nonnull outputs, int32_t output_count, const ct_tensor _Nullable *_Nullable seeds, const ct_tensor _Nonnull *_Nonnull inputs,
    int32_t input_count, bool retain_graph, bool create_graph, ct_tensor _Nullable *_Nonnull results);
bool ct_grad_enabled(void);
void ct_set_grad_enabled(bool enabled);

// A differentiable function whose backward is a callback. It reads `gradients` (borrowed; null: no gradient reached
// that output), writes owned handles or null to `results`, and returns 0, or -1 after `ct_set_last_error`.
typedef int32_t (*ct_backward_fn)(
    void *context, const ct_tensor _Nullable *_Nonnull gradients, int32_t gradient_count,
    ct_tensor _Nullable *_Nonnull results, int32_t result_count);
typedef void (*ct_context_free_fn)(void *context);
// Makes `results` the `outputs` with a history of that function of `inputs`; takes over `context`.
int32_t ct_custom_function(
    const ct_tensor _Nonnull *_Nonnull inputs, int32_t input_count, const ct_tensor _Nonnull *_Nonnull outputs, int32_t output_count, const char *name,
    ct_backward_fn backward, ct_context_free_fn context_free, void *context, ct_tensor _Nullable *_Nonnull results);

// ---- autocast
bool ct_autocast_enabled(int32_t device_type);
int32_t ct_autocast_dtype(int32_t device_type);
int32_t ct_autocast_enter(int32_t device_type, bool enabled, int32_t dtype);
int32_t ct_autocast_leave(int32_t device_type, bool enabled, int32_t dtype);

// ---- the engine
const char *ct_version(void);
const char *ct_library_path(void);
const char *ct_cpu_capability(void);
int32_t ct_threads(void);
void ct_set_threads(int32_t count);
// Reproducible kernels only; memory is filled with NaN before use. One switch for the whole process.
bool ct_deterministic(void);
void ct_set_deterministic(bool value);

// ---- NVIDIA GPUs
typedef struct ct_event_s *ct_event;
typedef struct ct_graph_s *ct_graph;

// The GPUs that can be used; 0 if there are none, and then `ct_last_error` says why. The first call loads LibTorch's CUDA
// library if there is a driver; TF32 is off then.
int32_t ct_cuda_count(void);
// Waits for everything that was started on the GPU.
int32_t ct_cuda_synchronize(int32_t index);
// Bytes that tensors take, and that LibTorch has taken from the GPU for them.
typedef struct {
  int64_t allocated, peak_allocated, reserved, peak_reserved;
} ct_memory;
int32_t ct_cuda_memory(int32_t index, ct_memory *out);
int32_t ct_cuda_reset_peak(int32_t index);
int32_t ct_cuda_empty_cache(void);
// Whether float32 products and convolutions may round their operands to TF32.
bool ct_tf32(void);
void ct_set_tf32(bool value);
// Whether cuDNN tries its algorithms once for each shape and keeps the fastest.
void ct_set_convolution_search(bool value);

// A moment on the current stream of a GPU.
ct_event _Nullable ct_event_create(void);
void ct_event_release(ct_event event);
int32_t ct_event_record(ct_event event, int32_t index);
// Waits for `end`.
int32_t ct_event_milliseconds(ct_event start, ct_event end, double *out);

// Everything that is started between begin and end, to be started again as a whole.
ct_graph _Nullable ct_graph_create(int32_t index);
void ct_graph_release(ct_graph graph);
int32_t ct_graph_begin(ct_graph graph);
int32_t ct_graph_end(ct_graph graph);
int32_t ct_graph_replay(ct_graph graph);

// ---- the scan (see cscan.h for the mathematics)
// y [B, D, L] of u, delta [B, D, L], a [D, N], b, c [B, G, N, L], and optional d [D], z [B, D, L], delta_bias [D].
// `last_state` [B, D, N], if asked for, carries no gradient.
ct_tensor _Nullable ct_selective_scan(
    ct_tensor u, ct_tensor delta, ct_tensor a, ct_tensor b, ct_tensor c, ct_tensor _Nullable d, ct_tensor _Nullable z,
    ct_tensor _Nullable delta_bias, bool softplus, ct_tensor _Nullable *_Nullable last_state);
// y [B, D, H, W] of x [B, D, H, W], projections [B, 4(R+2N), H*W], delta_weight [4, D, R], delta_bias [4, D],
// a [4D, N], d [4D].
ct_tensor _Nullable ct_scan_2d(
    ct_tensor x, ct_tensor projections, ct_tensor delta_weight, ct_tensor delta_bias, ct_tensor a, ct_tensor d);

// ---- maps stored channels last, for inference: no gradients (see cmap.h). x [B, C, H, W] in any layout; results are
// channels last. float32 or float64, parameters of the same type.
// A zero-padded depthwise convolution by weight [k, k, C], then the activation (cmap_activation).
ct_tensor _Nullable ct_map_depthwise(
    ct_tensor x, ct_tensor weight, ct_tensor _Nullable bias, int64_t stride, int64_t padding, int32_t activation);
// The group norm of one group.
ct_tensor _Nullable ct_map_norm(ct_tensor x, ct_tensor weight, ct_tensor bias, double epsilon);
// scale [C] * shortcut + offset [C] + branch.
ct_tensor _Nullable ct_map_scaled_sum(ct_tensor shortcut, ct_tensor scale, ct_tensor offset, ct_tensor branch);
// Maps joined along channels; with `order` (int32), channel j of the result is channel order[j] of the joined.
ct_tensor _Nullable ct_map_join(const ct_tensor _Nonnull *_Nonnull maps, int32_t count, ct_tensor _Nullable order);

// ---- maps on a GPU: differentiable, in the type of the automatic casts where they are on. x [B, C, H, W] in any layout;
// results are channels last. Parameters in any floating-point type.
// activation(conv(x) + bias [+ x]): a zero-padded depthwise convolution by weight [C, 1, k, k].
ct_tensor _Nullable ct_depthwise(
    ct_tensor x, ct_tensor weight, ct_tensor _Nullable bias, int64_t stride, int64_t padding, bool adds_input,
    int32_t activation);
// The group norm of one group.
ct_tensor _Nullable ct_one_group_norm(ct_tensor x, ct_tensor weight, ct_tensor bias, double epsilon);
// scale [C] * shortcut + offset [C] + branch.
ct_tensor _Nullable ct_scaled_sum(ct_tensor shortcut, ct_tensor scale, ct_tensor offset, ct_tensor branch);
// Maps joined along channels; with `order` (int32), channel j of the result is channel order[j] of the joined.
ct_tensor _Nullable ct_join(const ct_tensor _Nonnull *_Nonnull maps, int32_t count, ct_tensor _Nullable order);

// softmax(scale x) of [B, C, C] over the columns of a row's own group of C / groups channels; zeros in the others.
ct_tensor _Nullable ct_group_softmax(ct_tensor x, int64_t groups, double scale);
// activation(x + bias) in place, and without gradients.
ct_tensor _Nullable ct_bias_activation(ct_tensor x, ct_tensor bias, int32_t activation);

// The instruction set of the CPU kernels of scans and maps ("portable", "avx2", …), and a switch for tests and benchmarks.
const char *ct_scan_capability(void);
int32_t ct_set_scan_capability(const char *_Nullable name);

#pragma clang assume_nonnull end
#ifdef __cplusplus
}
#endif
#endif
