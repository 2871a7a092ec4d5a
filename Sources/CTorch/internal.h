// What the C++ files share: handles as references, and the guard around every entry.
#pragma once
#if !__has_include(<ATen/core/Tensor.h>)
#error "LibTorch was not found: run Scripts/setup of Ganglion first (Examples/README.md says how a package depends on it)"
#endif
#include <ATen/core/Tensor.h>

#include <exception>
#include <string>
#include <vector>

#include "ctorch.h"

namespace ctorch {

static_assert(sizeof(at::Tensor) == sizeof(void *), "a tensor handle must be one pointer");

// Reading a handle as a tensor costs no reference count.
inline const at::Tensor &ref(const ct_tensor &handle) { return reinterpret_cast<const at::Tensor &>(handle); }
inline at::Tensor optional(ct_tensor handle) { return handle ? ref(handle) : at::Tensor(); }
inline ct_tensor own(at::Tensor tensor) { return reinterpret_cast<ct_tensor>(tensor.unsafeReleaseTensorImpl()); }
inline at::Tensor adopt(ct_tensor handle) {
  return at::Tensor(c10::intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl>::reclaim(
      reinterpret_cast<c10::TensorImpl *>(handle)));
}
inline std::vector<at::Tensor> list(const ct_tensor *handles, int32_t count) {
  std::vector<at::Tensor> tensors;
  tensors.reserve(count);
  for (int32_t i = 0; i < count; i++) tensors.push_back(ref(handles[i]));
  return tensors;
}

std::string &last_error();

// Runs a task's ranges on LibTorch's own threads (a cscan_parallel_fn).
void parallel(int64_t count, void (*task)(void *context, int64_t begin, int64_t end), void *context);

// LibTorch counts threads for each of its callers apart, but the setting is one for the process: sums that are split
// over threads must not round differently because a task went on elsewhere.
void follow_thread_count();

template <class Body>
inline auto guard(Body body, decltype(body()) failure) -> decltype(body()) {
  try {
    follow_thread_count();
    return body();
  } catch (const c10::Error &error) {
    last_error() = error.what_without_backtrace();
  } catch (const std::exception &error) {
    last_error() = error.what();
  } catch (...) {
    last_error() = "unknown C++ exception";
  }
  return failure;
}

// An entry that makes a tensor: a failed error scope answers with the poisoned tensor and runs nothing.
template <class Body>
inline ct_tensor guard_tensor(Body body) {
  if (ct_scope_failed()) return ct_poisoned();
  return guard([&] {
    at::Tensor tensor = body();
    // An undefined tensor is a static of LibTorch's, not a reference to be counted and released.
    TORCH_CHECK(tensor.defined(), "the result is undefined");
    return own(std::move(tensor));
  }, nullptr);
}

// An entry with an effect only.
template <class Body>
inline int32_t guard_status(Body body) {
  if (ct_scope_failed()) return 0;
  return guard([&] { body(); return int32_t(0); }, -1);
}

}  // namespace ctorch
