// NVIDIA's driver, found at run time: devices, modules, launches.
#include <dlfcn.h>

#include <cstring>
#include <map>
#include <mutex>

#include "internal.h"

namespace ccuda {

std::string &last_error() {
  thread_local std::string message;
  return message;
}

int32_t fail(std::string sentence) {
  last_error() = std::move(sentence);
  return -1;
}

}  // namespace ccuda

using namespace ccuda;

namespace {

// The part of the driver's interface that is used; its functions keep their binary form over all versions.
using status = int;
using device = int;
using context = void *;
using module = void *;
using function = void *;
struct Driver {
  status (*init)(unsigned) = nullptr;
  status (*version)(int *) = nullptr;
  status (*error_string)(status, const char **) = nullptr;
  status (*device_count)(int *) = nullptr;
  status (*device_get)(device *, int) = nullptr;
  status (*device_name)(char *, int, device) = nullptr;
  status (*device_attribute)(int *, int, device) = nullptr;
  status (*device_memory)(size_t *, device) = nullptr;
  status (*context_retain)(context *, device) = nullptr;
  status (*context_get)(context *) = nullptr;
  status (*context_set)(context) = nullptr;
  status (*module_load)(module *, const void *) = nullptr;
  status (*module_function)(function *, module, const char *) = nullptr;
  status (*function_set)(function, int, int) = nullptr;
  status (*function_get)(int *, int, function) = nullptr;
  status (*launch)(
      function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **, void **) = nullptr;
  int count = 0;
  bool is_installed = false;
  std::string problem;  // not empty: no GPU can be used

  std::string message(status code) const {
    const char *text = nullptr;
    if (error_string && error_string(code, &text) == 0 && text) return text;
    return "error " + std::to_string(code);
  }
};

// Of the driver's enumerations CUdevice_attribute and CUfunction_attribute.
enum : int {
  CLOCK_RATE = 13, MULTIPROCESSORS = 16, MEMORY_CLOCK_RATE = 36, L2_BYTES = 38, CAPABILITY_MAJOR = 75,
  CAPABILITY_MINOR = 76, SHARED_BYTES_OPT_IN = 97,
  FUNCTION_SHARED_BYTES = 1, FUNCTION_LOCAL_BYTES = 3, FUNCTION_REGISTERS = 4, FUNCTION_MAX_DYNAMIC_SHARED = 8,
};

Driver load() {
  Driver d;
  void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL);
  if (!library) {
    d.problem = "there is no NVIDIA driver (libcuda.so.1 was not found)";
    return d;
  }
  d.is_installed = true;
  const auto bind = [&](const char *name, auto &slot) {
    slot = reinterpret_cast<std::remove_reference_t<decltype(slot)>>(dlsym(library, name));
    if (!slot && d.problem.empty()) d.problem = std::string("the NVIDIA driver is too old: it has no function ") + name;
  };
  bind("cuInit", d.init);
  bind("cuDriverGetVersion", d.version);
  bind("cuGetErrorString", d.error_string);
  bind("cuDeviceGetCount", d.device_count);
  bind("cuDeviceGet", d.device_get);
  bind("cuDeviceGetName", d.device_name);
  bind("cuDeviceGetAttribute", d.device_attribute);
  bind("cuDeviceTotalMem_v2", d.device_memory);
  bind("cuDevicePrimaryCtxRetain", d.context_retain);
  bind("cuCtxGetCurrent", d.context_get);
  bind("cuCtxSetCurrent", d.context_set);
  bind("cuModuleLoadData", d.module_load);
  bind("cuModuleGetFunction", d.module_function);
  bind("cuFuncSetAttribute", d.function_set);
  bind("cuFuncGetAttribute", d.function_get);
  bind("cuLaunchKernel", d.launch);
  if (!d.problem.empty()) return d;
  if (const status code = d.init(0)) {
    d.problem = "the NVIDIA driver does not start: " + d.message(code);
  } else if (const status code = d.device_count(&d.count)) {
    d.problem = "the NVIDIA driver shows no GPU: " + d.message(code);
  } else if (d.count == 0) {
    d.problem = "the NVIDIA driver shows no GPU";
  }
  return d;
}

const Driver &driver() {
  static const Driver loaded = load();
  return loaded;
}

// LibTorch works in the device's primary context, and so do the kernels.
context primary_context(int32_t index, std::string &error) {
  static std::mutex lock;
  static std::map<int32_t, context> contexts;
  const std::lock_guard<std::mutex> guard(lock);
  const auto known = contexts.find(index);
  if (known != contexts.end()) return known->second;
  const Driver &d = driver();
  device handle = 0;
  context result = nullptr;
  status code = d.device_get(&handle, index);
  if (code == 0) code = d.context_retain(&result, handle);
  if (code != 0) {
    error = "GPU " + std::to_string(index) + " cannot be used: " + d.message(code);
    return nullptr;
  }
  contexts[index] = result;
  return result;
}

int32_t enter(context wanted) {
  context current = nullptr;
  const Driver &d = driver();
  status code = d.context_get(&current);
  if (code == 0 && current != wanted) code = d.context_set(wanted);
  return code == 0 ? 0 : fail("the GPU's context cannot be entered: " + d.message(code));
}

std::string architecture(int32_t index, std::string &error) {
  static std::mutex lock;
  static std::map<int32_t, std::string> known;
  const std::lock_guard<std::mutex> guard(lock);
  if (known.count(index)) return known[index];
  ccuda_device facts;
  if (ccuda_describe(index, &facts) != 0) {
    error = last_error();
    return "";
  }
  const std::string name = architecture_for(facts.major, facts.minor, error);
  if (!name.empty()) known[index] = name;
  return name;
}

}  // namespace

struct ccuda_kernel_s {
  function handle;
  context home;
  std::string name;
  int64_t shared_bytes = 0;  // that blocks may ask for
};

extern "C" {
const char *ccuda_last_error(void) { return last_error().c_str(); }

bool ccuda_has_driver(void) { return driver().is_installed; }

int32_t ccuda_device_count(void) {
  const Driver &d = driver();
  if (!d.problem.empty()) {
    fail(d.problem);
    return 0;
  }
  return d.count;
}

int32_t ccuda_describe(int32_t index, ccuda_device *facts) {
  const Driver &d = driver();
  if (!d.problem.empty()) return fail(d.problem);
  *facts = {};
  device handle = 0;
  size_t memory = 0;
  int l2 = 0;
  status code = d.device_get(&handle, index);
  const auto ask = [&](int attribute, int32_t &value) {
    if (code == 0) code = d.device_attribute(&value, attribute, handle);
  };
  if (code == 0) code = d.device_name(facts->name, sizeof facts->name, handle);
  if (code == 0) code = d.device_memory(&memory, handle);
  if (code == 0) code = d.version(&facts->driver);
  ask(CAPABILITY_MAJOR, facts->major);
  ask(CAPABILITY_MINOR, facts->minor);
  ask(MULTIPROCESSORS, facts->multiprocessors);
  ask(CLOCK_RATE, facts->clock_kilohertz);
  ask(MEMORY_CLOCK_RATE, facts->memory_clock_kilohertz);
  ask(L2_BYTES, l2);
  ask(SHARED_BYTES_OPT_IN, facts->shared_bytes);
  facts->memory_bytes = static_cast<int64_t>(memory);
  facts->l2_bytes = l2;
  return code == 0 ? 0 : fail("GPU " + std::to_string(index) + " cannot be described: " + d.message(code));
}

ccuda_kernel ccuda_find_kernel(
    int32_t index, const char *program_name, const char *entry, const char *macros, int64_t shared_bytes) {
  // Kernels live as long as the process, as modules do in a context that is never left.
  static std::mutex lock;
  static std::map<std::string, module> modules;
  static std::map<std::string, ccuda_kernel_s> kernels;
  const std::string place = std::to_string(index) + " " + program_name + " " + macros, key = place + " " + entry;
  const std::lock_guard<std::mutex> guard(lock);
  const Driver &d = driver();
  if (!d.problem.empty()) {
    fail(d.problem);
    return nullptr;
  }
  auto known = kernels.find(key);
  if (known == kernels.end()) {
    std::string error;
    const Program *program = find_program(program_name);
    if (!program) error = std::string("there is no CUDA program called ") + program_name;
    const context home = error.empty() ? primary_context(index, error) : nullptr;
    if (!home || enter(home) != 0) {
      if (!error.empty()) fail(error);
      return nullptr;
    }
    if (!modules.count(place)) {
      const std::string target = architecture(index, error);
      const MachineCode code = error.empty() ? load_or_compile(*program, macros, target) : MachineCode{{}, error};
      if (!code.error.empty()) {
        fail(code.error);
        return nullptr;
      }
      std::vector<char> bytes = code.bytes;
      bytes.push_back(0);  // PTX is read up to a zero
      module loaded = nullptr;
      if (const status result = d.module_load(&loaded, bytes.data())) {
        fail(std::string("the driver refuses the kernels of ") + program_name + " with " + macros + ": " + d.message(result));
        return nullptr;
      }
      modules[place] = loaded;
    }
    ccuda_kernel_s kernel{nullptr, home, std::string(program_name) + "." + entry, 0};
    if (const status result = d.module_function(&kernel.handle, modules[place], entry)) {
      fail(std::string("the program ") + program_name + " has no kernel " + entry + ": " + d.message(result));
      return nullptr;
    }
    known = kernels.emplace(key, kernel).first;
  }
  ccuda_kernel_s &kernel = known->second;
  if (shared_bytes > kernel.shared_bytes) {
    if (shared_bytes > 48 << 10) {
      const status result = enter(kernel.home) ? -1
          : d.function_set(kernel.handle, FUNCTION_MAX_DYNAMIC_SHARED, static_cast<int>(shared_bytes));
      if (result != 0) {
        fail(kernel.name + ": the GPU does not give a block " + std::to_string(shared_bytes) + " bytes of shared memory");
        return nullptr;
      }
    }
    kernel.shared_bytes = shared_bytes;
  }
  return &kernel;
}

int32_t ccuda_launch(
    ccuda_kernel kernel, const uint32_t grid[3], const uint32_t block[3], int64_t shared_bytes, void *stream,
    void **arguments) {
  const Driver &d = driver();
  if (grid[0] == 0 || grid[1] == 0 || grid[2] == 0) return 0;
  if (enter(kernel->home) != 0) return -1;
  const status result = d.launch(
      kernel->handle, grid[0], grid[1], grid[2], block[0], block[1], block[2], static_cast<unsigned>(shared_bytes), stream,
      arguments, nullptr);
  if (result == 0) return 0;
  return fail(
      "the kernel " + kernel->name + " cannot be started on " + std::to_string(grid[0]) + "x" + std::to_string(grid[1]) + "x" +
      std::to_string(grid[2]) + " blocks of " + std::to_string(block[0] * block[1] * block[2]) + " threads: " + d.message(result));
}

int32_t ccuda_resources(ccuda_kernel kernel, int32_t *registers, int32_t *local_bytes, int32_t *shared_bytes) {
  const Driver &d = driver();
  status code = enter(kernel->home) ? -1 : d.function_get(registers, FUNCTION_REGISTERS, kernel->handle);
  if (code == 0) code = d.function_get(local_bytes, FUNCTION_LOCAL_BYTES, kernel->handle);
  if (code == 0) code = d.function_get(shared_bytes, FUNCTION_SHARED_BYTES, kernel->handle);
  return code == 0 ? 0 : fail(kernel->name + ": " + d.message(code));
}
}
