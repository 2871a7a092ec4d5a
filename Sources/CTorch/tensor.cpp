// Handles, their description, and values in and out.
#include <ATen/Context.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <torch/headeronly/version.h>

#include <atomic>
#include <cmath>
#include <cstring>

#include <dlfcn.h>

#include "internal.h"
using namespace ctorch;

namespace {
std::atomic<int32_t> wanted_threads{0};  // 0: LibTorch's own choice
}

void ctorch::follow_thread_count() {
  static thread_local int32_t followed = 0;
  const int32_t wanted = wanted_threads.load(std::memory_order_relaxed);
  if (wanted == followed) return;
  at::set_num_threads(wanted);
  followed = wanted;
}

extern "C" {
void ct_release(ct_tensor handle) {
  c10::raw::intrusive_ptr::decref(reinterpret_cast<c10::TensorImpl *>(handle));
}
ct_tensor ct_retain(ct_tensor handle) {
  c10::raw::intrusive_ptr::incref(reinterpret_cast<c10::TensorImpl *>(handle));
  return handle;
}
ct_tensor ct_poisoned(void) {
  return guard([&] { return own(at::full({1}, std::nan(""))); }, nullptr);
}

int32_t ct_rank(ct_tensor tensor) { return static_cast<int32_t>(ref(tensor).dim()); }
int64_t ct_size(ct_tensor tensor, int32_t dimension) { return ref(tensor).sizes()[dimension]; }
int64_t ct_stride(ct_tensor tensor, int32_t dimension) { return ref(tensor).strides()[dimension]; }
int64_t ct_count(ct_tensor tensor) { return ref(tensor).numel(); }
int32_t ct_dtype(ct_tensor tensor) { return static_cast<int32_t>(ref(tensor).scalar_type()); }
int32_t ct_device_type(ct_tensor tensor) { return static_cast<int32_t>(ref(tensor).device().type()); }
int32_t ct_device_index(ct_tensor tensor) { return ref(tensor).device().index(); }
bool ct_is_contiguous(ct_tensor tensor, int32_t memory_format) {
  return guard([&] { return ref(tensor).is_contiguous(static_cast<at::MemoryFormat>(memory_format)); }, false);
}
bool ct_is_same(ct_tensor a, ct_tensor b) { return ref(a).is_same(ref(b)); }

ct_tensor ct_from_bytes(const void *bytes, const int64_t *sizes, int32_t rank, int32_t dtype) {
  return guard_tensor([&] {
    at::Tensor tensor = at::empty(at::IntArrayRef(sizes, rank), static_cast<at::ScalarType>(dtype));
    if (tensor.numel() > 0) std::memcpy(tensor.mutable_data_ptr(), bytes, tensor.nbytes());
    return tensor;
  });
}
ct_tensor ct_empty(const int64_t *sizes, int32_t rank, int32_t dtype) {
  return guard_tensor([&] {
    return at::empty(at::IntArrayRef(sizes, rank), static_cast<at::ScalarType>(dtype));
  });
}
int32_t ct_copy_out(ct_tensor handle, void *bytes, int64_t length) {
  return guard_status([&] {
    const at::Tensor tensor = ref(handle).contiguous();
    TORCH_CHECK(tensor.device().is_cpu(), "elements are read from the CPU only; the tensor is on ", tensor.device());
    TORCH_CHECK(
        static_cast<int64_t>(tensor.nbytes()) == length, "expected ", tensor.nbytes(), " bytes of room, got ", length);
    if (length > 0) std::memcpy(bytes, tensor.const_data_ptr(), length);
  });
}
void *ct_data(ct_tensor tensor) {
  return guard([&] {
    TORCH_CHECK(ref(tensor).device().is_cpu(), "elements are read from the CPU only; the tensor is on ", ref(tensor).device());
    return ref(tensor).data_ptr();
  }, nullptr);
}
int32_t ct_item(ct_tensor tensor, double *out) {
  *out = std::nan("");
  return guard_status([&] { *out = ref(tensor).item().toDouble(); });
}
int32_t ct_item_int(ct_tensor tensor, int64_t *out) {
  *out = 0;
  return guard_status([&] { *out = ref(tensor).item().toLong(); });
}

ct_generator ct_generator_create(uint64_t seed, int32_t device_type, int32_t device_index) {
  return guard([&]() -> ct_generator {
    at::Device device(static_cast<at::DeviceType>(device_type), static_cast<c10::DeviceIndex>(device_index));
    at::Generator generator = device.is_cpu()
        ? at::detail::createCPUGenerator(seed)
        : at::globalContext().defaultGenerator(device).clone();
    generator.set_current_seed(seed);
    return reinterpret_cast<ct_generator>(new at::Generator(generator));
  }, nullptr);
}
void ct_generator_release(ct_generator generator) { delete reinterpret_cast<at::Generator *>(generator); }
int32_t ct_generator_seed(ct_generator generator, uint64_t seed) {
  return guard_status([&] { reinterpret_cast<at::Generator *>(generator)->set_current_seed(seed); });
}

const char *ct_version(void) { return TORCH_VERSION; }
// The file that LibTorch's operators were loaded from, found by the address of one of its functions.
const char *ct_library_path(void) {
  Dl_info information{};
  const auto address = reinterpret_cast<const void *>(&at::get_num_threads);
  return dladdr(address, &information) && information.dli_fname ? information.dli_fname : "";
}
const char *ct_cpu_capability(void) {
  static const std::string capability = at::get_cpu_capability();
  return capability.c_str();
}
int32_t ct_threads(void) { return guard([&] { return at::get_num_threads(); }, 1); }
void ct_set_threads(int32_t count) {
  guard_status([&] {
    at::set_num_threads(count);  // refuses less than 1
    wanted_threads = count;
  });
}
bool ct_deterministic(void) { return at::globalContext().deterministicAlgorithms(); }
void ct_set_deterministic(bool value) {
  guard_status([&] {
    // Warn only: an operator without a reproducible kernel still runs.
    at::globalContext().setDeterministicAlgorithms(value, true);
    at::globalContext().setDeterministicFillUninitializedMemory(true);
  });
}
}
